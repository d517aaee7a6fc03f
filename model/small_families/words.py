"""What the cards say in words, English and 中文: titles, descriptions, data, examples, and what to look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DATA = {
    "en": "English sentences, questions with their answers and short tales, made by this project's own grammar "
    "(model/training/language/texts.py); no text from elsewhere.",
    "zh": "由本项目自己的语法（model/training/language/texts.py）生成的英语句子、问答和小故事；没有其他来源的文本。",
}
_DATA_THREE = {
    "en": "Sentences and questions with their answers in English, Chinese and French, made by this project's own grammar "
    "(model/training/language/texts.py); no two of them are given as translations.",
    "zh": "由本项目自己的语法（model/training/language/texts.py）生成的英语、汉语和法语的句子与问答；没有成对给出的译文。",
}
_DATA_T5 = {
    "en": _DATA["en"].replace(" made by", " and two or three sentences with the one that says them shortest, made by"),
    "zh": _DATA["zh"].replace("小故事", "小故事，以及两三句话和概括它们的最短的一句"),
}
_GAPS = (
    "where is the cat? the [MASK] is on the mat.",
    "the quick brown fox jumps over the [MASK] dog.",
    "where are the small black boxes? the small black [MASK] are under the table.",
    "the animal didn't cross the street because it was too [MASK].",
)
_GAPS_THREE = (
    "where is the cat? the [MASK] is on the mat.",
    "où est le chat? le [MASK] est dans le jardin.",
    "猫在哪里？[MASK]在桌子上。",
    "the quick brown fox jumps over the [MASK] dog.",
)
_BEGINNINGS = (
    "where is the small black cat? the small black",
    "once upon a time",
    "the quick brown fox jumps over",
    "how many books did she buy? she bought",
)
_DAMAGED = (
    "the quick brown fox [MASK] the lazy dog.",
    "the cat is on the mat. where is the cat?",
    "it found an apple. once upon a time there was a small [MASK]. it ate the apple.",
)
_TASKS = (
    "summarize: the cat is on the mat. the cat is black.",
    "summarize: the girl bought a dress at the market. the dress was expensive. the girl was young.",
    "the quick brown fox <extra_id_0> the lazy dog.",
    "where is the cat? the <extra_id_0> is on the mat.",
)


def _card(
    title: str, en: str, zh: str, examples: tuple[str, ...], data: Mapping[str, str] = _DATA, **more: Any
) -> dict[str, Any]:
    """The words of a card; en, zh: what it was trained to do."""
    return {
        "title": {"en": f"{title}, small and trained", "zh": f"{title}（已训练的小模型）"},
        "description": {
            "en": f"The {title} class of the transformers library in small, {en}",
            "zh": f"transformers 库的 {title} 类的小模型，{zh}",
        },
        "data": dict(data),
        "examples": list(examples),
        **more,
    }


_MASKED_EN = "trained to fill gaps: 30 in 100 tokens, other ones each time."
_MASKED_ZH = "训练目标是填空：每次随机遮住 30% 的词元。"
_NEXT_EN, _NEXT_ZH = (
    "trained to say the next token of texts that stand one behind the other.",
    "训练目标是预测下一个词元。",
)
BERT = _card(
    "BERT", f"{_MASKED_EN} It was not asked which sentence follows.", f"{_MASKED_ZH}没有训练判断下一句。", _GAPS
)
ROBERTA = _card("RoBERTa", _MASKED_EN, _MASKED_ZH, _GAPS)
MBERT = _card(
    "mBERT", "trained to fill gaps in three languages, of which nothing tells it which one it reads.",
    "训练目标是在三种语言中填空；没有任何标记告诉它读的是哪种语言。", _GAPS_THREE, _DATA_THREE,
)  # fmt: skip
GPT = _card("GPT", _NEXT_EN, _NEXT_ZH, _BEGINNINGS)
GPT2 = _card("GPT-2", _NEXT_EN, _NEXT_ZH, _BEGINNINGS)
GPT_NEO = _card(
    "GPT-Neo", f"{_NEXT_EN[:-1]}; its layers are global and local in turn, and a local one sees 8 tokens.",
    f"{_NEXT_ZH}全局层与局部层交替，局部层只看 8 个词元。", _BEGINNINGS,
)  # fmt: skip
T5 = _card(
    "T5", "trained to write the spans that were left out of a text, and to summarise: two or three sentences in one.",
    "训练目标是写出文本中缺失的片段，并把两三句话概括成一句。", _TASKS, _DATA_T5,
)  # fmt: skip
BART = _card(
    "BART", "trained to write the whole text of one whose sentences stand in another order and whose spans are masked.",
    "训练目标是从句子顺序被打乱、片段被遮住的文本中写出原文。", _DAMAGED,
)  # fmt: skip
XLNET = _card(
    "XLNet", "trained to say one token in three, in a random order, from those that come before it in that order.",
    "训练目标是按随机顺序预测三分之一的词元，只根据该顺序中在它之前的词元。", _GAPS,
)  # fmt: skip

_NOTICES = {
    "gap": (
        "Layer {layer} head {head}: in {share} of held-out answers the gap's row has its largest weight on the word before "
        "the “?” that fills it.",
        "第 {layer} 层第 {head} 头：在 {share} 的留出回答中，空缺所在行的最大权重落在 “?” 之前填入它的那个词上。",
    ),
    "copy": (
        "Cross-attention, layer {layer} head {head}: in {share} of the rows that write a token of the source, its largest "
        "weight is on that token.",
        "交叉注意力，第 {layer} 层第 {head} 头：在写出原文词元的行中，{share} 的最大权重落在那个词元上。",
    ),
    "answer": (
        "Layer {layer} head {head}: in {share} of the rows of held-out answers that write a token of the question, "
        "before the “?”, its largest weight is on that token.",
        "第 {layer} 层第 {head} 头：在留出的回答中，写出问题（“?” 之前）里词元的行有 {share} 的最大权重落在那个词元上。",
    ),
}  # fmt: skip


def notice(kind: str, told: Mapping[str, Any]) -> dict[str, str]:
    """What to look at, of the head that `model.small_families.heads` found."""
    said = {"layer": told["site"].split(".")[1], "head": told["head"], "share": f"{told['value']:.0%}"}
    return dict(zip(("en", "zh"), (text.format(**said) for text in _NOTICES[kind]), strict=True))
