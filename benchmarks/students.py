"""Students of a model that are smaller than it."""

from pathlib import Path

import torch

from tutelage.models.load import load_bundle, save_folder


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
