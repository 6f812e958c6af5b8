"""Folders of a model for others to use: whole, as a server loads it, and without every second layer, as a student.

python benchmarks/students.py whole runs/gaps/teacher
python benchmarks/students.py halved runs/gaps/student
"""

import argparse
from pathlib import Path

import torch

from tutelage.models.load import load_bundle, save_folder


def whole(model: str, folder: Path) -> Path:
    """The model as a folder. Its generation settings say that it samples where a request asks for a temperature above
    0: ``transformers serve`` answers greedily otherwise, whatever the temperature."""
    if not (folder / "config.json").is_file():
        bundle = load_bundle(model)
        if bundle.model.generation_config is not None:
            bundle.model.generation_config.do_sample = True
        save_folder(bundle, folder)
    return folder


def halved(model: str, folder: Path) -> Path:
    """The model without every second layer, as a folder."""
    if not (folder / "config.json").is_file():
        bundle = load_bundle(model)
        layers = bundle.model.base_model.layers
        bundle.model.base_model.layers = torch.nn.ModuleList(list(layers)[::2])
        for number, layer in enumerate(bundle.model.base_model.layers):
            layer.self_attn.layer_idx = number
        bundle.model.config.num_hidden_layers = len(bundle.model.base_model.layers)
        save_folder(bundle, folder)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["whole", "halved"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="default", help="a hub id, a folder, a GGUF file or an alias")
    given = parser.parse_args()
    print({"whole": whole, "halved": halved}[given.kind](given.model, given.folder))


if __name__ == "__main__":
    main()
