"""What a model can be tuned with: every objective and method of a recipe, and those of the literature that are not
built, in one table.

The command line prints it, the reference is made from it, and a test compares it with the kinds that a recipe takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

DEFAULT_MODEL = "SmolLM2-135M"
"""On which the shares of trained weights were counted."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An objective or a method.

    ``kind`` is its name in a recipe, ``setting`` what else must be set there; of what is not built ``kind`` is just a
    name. ``scope``: of an objective the rows that it learns from, of a method which weights are trained, as a formula
    (r: rank, d: width, in and out: sizes of a layer). ``share``: of all weights, counted on the default model at
    default settings. ``cost`` is compared with supervised tuning under LoRA.
    """

    kind: str
    name: str
    paper: str
    formula: str
    when: str
    scope: str
    cost: str
    share: float | None = None
    setting: str = ""
    built: bool = True


OBJECTIVES: Sequence[Entry] = (
    Entry(
        kind="sft",
        name="supervised tuning",
        paper="Wei et al. 2022; Ouyang et al. 2022",
        formula="−log p(answer | prompt), mean over tokens",
        when="There are good answers to learn. The first thing to do, and often enough.",
        scope="examples",
        cost="the measure: one pass forward and back",
    ),
    Entry(
        kind="kd",
        name="distillation of logits",
        paper="Hinton et al. 2015; Agarwal et al. 2024",
        formula="Σ D(p_teacher ‖ p_student) over tokens, D forward KL, reverse KL or JSD",
        when="A better model with the same tokenizer is at hand, and says more than one token a place.",
        scope="examples",
        cost="the teacher's pass beside each step; with top_k only once before the first",
    ),
    Entry(
        kind="kd",
        setting="on_policy: 1",
        name="generalized knowledge distillation, on-policy",
        paper="Agarwal et al. 2024",
        formula="as kd, over tokens that the student sampled",
        when="As kd, where the student's own answers lead it astray: it learns what to say there.",
        scope="examples",
        cost="as kd, and many times that: answers are sampled in every step",
    ),
    Entry(
        kind="kd_answers",
        name="distillation of what an endpoint says",
        paper="Hinton et al. 2015; Kim & Rush 2016",
        formula="Σ KL(p_teacher ‖ p_student) over its likeliest tokens, all others as one",
        when="The better model is behind an endpoint that gives log-probabilities, and has the student's tokens.",
        scope="examples",
        cost="as sft; the endpoint said it all when it answered",
    ),
    Entry(
        kind="dpo",
        name="direct preference optimization",
        paper="Rafailov et al. 2023",
        formula="−log σ(β·(r_w − r_l)), r = log p − log p_start",
        when="There are pairs of answers, and what is better is easier to tell than to write.",
        scope="pairs",
        cost="two answers a row behind one prompt; each read once by the start",
    ),
    Entry(
        kind="ipo",
        name="identity preference optimization",
        paper="Azar et al. 2023",
        formula="(h − 1/(2τ))², h = r_w − r_l, r per token",
        when="As dpo, where pairs are few or nearly certain, so that dpo goes on and on.",
        scope="pairs",
        cost="as dpo",
    ),
    Entry(
        kind="kto",
        name="Kahneman-Tversky optimization",
        paper="Ethayarajh et al. 2024",
        formula="λ·(1 − σ(±β·(r − z))), z: r of answers to other questions",
        when="Answers were marked as good or bad one by one, with nothing to compare each with.",
        scope="unpaired",
        cost="one answer a row, and one more read before each step; all read once by the start",
    ),
    Entry(
        kind="orpo",
        name="odds ratio preference optimization",
        paper="Hong et al. 2024",
        formula="−log p_w per token − λ·log σ(log odds_w − log odds_l)",
        when="There are pairs, and no model yet that was tuned on good answers: both in one go.",
        scope="pairs",
        cost="two answers a row behind one prompt; nothing is read by the start",
    ),
    Entry(
        kind="simpo",
        name="simple preference optimization",
        paper="Meng, Xia & Chen 2024",
        formula="−log σ(β·(mean log p_w − mean log p_l) − γ)",
        when="As dpo, where answers differ in length; nothing but γ holds it to the start.",
        scope="pairs",
        cost="as orpo",
    ),
    Entry(
        kind="sum",
        name="weighted sum of objectives",
        paper="Pang et al. 2024, for dpo + sft",
        formula="Σ weight·objective over the same rows",
        when="One objective alone drifts: dpo with a tenth of sft keeps good answers likely.",
        scope="those of its parts",
        cost="the documents of all parts, each computed once",
    ),
    Entry(
        kind="reward",
        name="reward model",
        paper="Bradley & Terry 1952; Ouyang et al. 2022",
        formula="−log σ(s_w − s_l − margin), s one number an answer",
        when="Answers are to be scored by a model that people's comparisons have taught.",
        scope="pairs",
        cost="as orpo, without the output layer",
    ),
    Entry(
        kind="grpo",
        name="group relative policy optimization",
        paper="Shao et al. 2024; DAPO, Yu et al. 2025",
        formula="min(ρ·A, clip(ρ)·A) − β·KL, A: reward against its group's mean, over its deviation",
        when="A program can check answers, and the model now and then finds a right one.",
        scope="prompts",
        cost="many times: answers are sampled in every step",
    ),
    Entry(
        kind="grpo",
        setting="advantage: dr_grpo, average: constant",
        name="Dr. GRPO",
        paper="Liu et al. 2025",
        formula="as grpo, without the deviation and without the length of answers",
        when="As grpo, where wrong answers grow ever longer.",
        scope="prompts",
        cost="as grpo",
    ),
    Entry(
        kind="grpo",
        setting="advantage: rloo",
        name="REINFORCE leave-one-out",
        paper="Ahmadian et al. 2024",
        formula="−A·log p(answer), A: reward against the mean of the others",
        when="As grpo.",
        scope="prompts",
        cost="as grpo",
    ),
    Entry(
        kind="ppo",
        name="proximal policy optimization",
        paper="Schulman et al. 2017; Ouyang et al. 2022",
        formula="min(ρ·A, clip(ρ)·A) − β·KL, A from a learned value of each token",
        when="As grpo, with a reward model and memory for a value model.",
        scope="prompts with a reward model",
        cost="more than grpo: three models beside the one that is tuned",
        built=False,
    ),
    Entry(
        kind="uld",
        name="universal logit distillation",
        paper="Boizard et al. 2024",
        formula="distance of sorted probabilities, Σ |p_(i) − q_(i)|",
        when="As kd, with a teacher whose tokenizer is another.",
        scope="examples",
        cost="as kd, and two sorts of the vocabulary a place",
        built=False,
    ),
)

METHODS: Sequence[Entry] = (
    Entry(
        kind="lora",
        name="low-rank adapters",
        paper="Hu et al. 2021",
        formula="W + (alpha/r)·BA, A random, B = 0",
        when="Nearly always first: small files, little memory, and the base stays what others have.",
        scope="Σ r·(in + out) over the linear layers",
        cost="the measure",
        share=0.0363,
    ),
    Entry(
        kind="lora",
        setting="rslora: true",
        name="rank-stabilized LoRA",
        paper="Kalajdzievski 2023",
        formula="W + (alpha/√r)·BA",
        when="Ranks of 64 and more, which alpha/r makes ever slower. Lower alpha: at r 16 it is four times as strong.",
        scope="as lora",
        cost="as lora",
        share=0.0363,
    ),
    Entry(
        kind="lora",
        setting="init: pissa",
        name="principal singular values and vectors",
        paper="Meng, Wang & Zhang 2024",
        formula="W + (alpha/r)·(BA − B₀A₀), B₀A₀ from the largest r of W = UΣVᵀ",
        when="LoRA is to learn faster in its first steps.",
        scope="as lora",
        cost="an adapter of twice the rank, and one SVD of every layer before the first step",
        share=0.0363,
    ),
    Entry(
        kind="lora",
        setting="init: olora",
        name="orthonormal LoRA",
        paper="Büyükakyüz 2024",
        formula="W + (alpha/r)·(BA − B₀A₀), B₀A₀ from the first r of W = QR",
        when="As pissa, where an SVD takes too long. Lower alpha: B₀A₀ is as large as alpha/r makes it.",
        scope="as lora",
        cost="an adapter of twice the rank, and one QR of every layer before the first step",
        share=0.0363,
    ),
    Entry(
        kind="dora",
        name="weight-decomposed LoRA",
        paper="Liu et al. 2024",
        formula="m ⊙ V/‖V‖, V = W + (alpha/r)·BA",
        when="LoRA of a low rank falls short of full tuning, and time is there.",
        scope="Σ r·(in + out) + out over the linear layers",
        cost="a little more time than lora, and twice its time in bfloat16, since it computes in float32",
        share=0.0375,
    ),
    Entry(
        kind="qlora",
        name="LoRA on a base of 4 bits",
        paper="Dettmers et al. 2023",
        formula="dequantize(W_NF4) + (alpha/r)·BA",
        when="The model in 16 bits does not fit into memory. Needs bitsandbytes.",
        scope="as lora",
        cost="slower than lora, since W is made of its 4 bits in each pass; a quarter of the memory for it",
        share=0.0363,
    ),
    Entry(
        kind="ia3",
        name="factors of inner activations",
        paper="Liu et al. 2022",
        formula="l ⊙ (Wx) for keys and values, W(l ⊙ x) in the feed-forward layer",
        when="Few rows, many tasks: an adapter of some hundred kilobytes. A learning rate about ten times LoRA's.",
        scope="Σ out of keys and values + in of the last feed-forward layer",
        cost="about the time of lora; next to no memory for the optimizer",
        share=0.000428,
    ),
    Entry(
        kind="last",
        name="the last layers",
        paper="Lee, Tang & Lin 2019",
        formula="W of the last k layers and of the norm behind them; nothing else moves",
        when="Time is short, and what is to be learned is form rather than knowledge. Saves a whole model.",
        scope="k of the layers",
        cost="a quarter less time: no backward pass through the frozen layers",
        share=0.1053,
    ),
    Entry(
        kind="full",
        name="full tuning",
        paper="Wei et al. 2022; Ouyang et al. 2022",
        formula="all of W",
        when="There are many rows, and memory for four more numbers a weight. A tenth of LoRA's learning rate.",
        scope="all",
        cost="twice the time, and up to 16 bytes a weight for the optimizer",
        share=1.0,
    ),
    Entry(
        kind="prefix",
        name="prefix tuning",
        paper="Li & Liang 2021",
        formula="attention over [P_k; K], [P_v; V], P learned in every layer",
        when="One frozen model serves many tasks in one batch.",
        scope="2·layers·length·d_key",
        cost="as lora, and a longer context",
        share=0.001713,
    ),
    Entry(
        kind="prompt",
        name="prompt tuning",
        paper="Lester et al. 2021",
        formula="p(answer | [P; embedded prompt]), P learned",
        when="As prefix, with large models; small ones learn little by it.",
        scope="length·d",
        cost="as lora, and a longer context",
        share=0.00008564,
    ),
    Entry(
        kind="p-tuning v2",
        name="deep prompt tuning",
        paper="Liu et al. 2022",
        formula="prefix tuning without its reparametrization",
        when="As prefix.",
        scope="2·layers·length·d_key",
        cost="as prefix",
        built=False,
    ),
    Entry(
        kind="adapters",
        name="bottleneck adapters",
        paper="Houlsby et al. 2019",
        formula="h + W_up·f(W_down·h) behind attention and feed-forward",
        when="As lora; they cannot be merged, so answers take longer for good.",
        scope="4·layers·d·bottleneck",
        cost="about as lora",
        built=False,
    ),
    Entry(
        kind="adalora",
        name="adaptive LoRA",
        paper="Zhang et al. 2023",
        formula="W + PΛQ, singular values pruned by importance",
        when="The rank is to go where it is needed.",
        scope="as lora, falling",
        cost="more than lora: a penalty on orthogonality and scores of importance",
        built=False,
    ),
    Entry(
        kind="vera",
        name="vector-based random adapters",
        paper="Kopiczko et al. 2024",
        formula="W + diag(b)·B·diag(d)·A, A and B random, shared and frozen",
        when="Adapters must be smaller than those of LoRA by a factor of ten.",
        scope="Σ r + out over the linear layers",
        cost="about as lora of a high rank",
        built=False,
    ),
    Entry(
        kind="bitfit",
        name="biases alone",
        paper="Ben Zaken et al. 2022",
        formula="b of every layer",
        when="Models with biases; most of today's have none.",
        scope="Σ out of layers with a bias",
        cost="less than lora",
        built=False,
    ),
    Entry(
        kind="layernorm",
        name="norms alone",
        paper="Zhao et al. 2024",
        formula="gain and bias of every norm",
        when="Adapting a language model to another modality.",
        scope="(2·layers + 1)·d",
        cost="less than lora",
        built=False,
    ),
)


def written(entry: Entry) -> str:
    """Return an entry that is built as a recipe has it."""
    return f"{{kind: {entry.kind}{f', {entry.setting}' if entry.setting else ''}}}"


def share_of(entry: Entry) -> str:
    """Return the share of trained weights in words, to two figures; empty where none was counted."""
    if entry.share is None:
        return ""
    return f"{'100' if entry.share == 1 else f'{100 * entry.share:.2g}'} % of all"
