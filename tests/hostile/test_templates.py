"""Which chat templates and expressions are run here, which elsewhere, and that elsewhere gives what the library gives."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from model.checkpoints.tokens import chat_templates, watched
from model.errors import ChatTemplateFailed, HeadlightError, Stopped
from model.jobs import child
from model.jobs.progress import ProgressListener, report_to
from tests.app.checkpoints import CHAT

transformers = pytest.importorskip("transformers")

CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are.<|im_end|>\n' }}"
    "{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)  # fmt: skip
LLAMA = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start|>' + message['role'] "
    "+ '<|end|>\n\n'"
    "+ message['content'] | trim + '<|eot|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
    "{{ content }}{% endfor %}"
)  # fmt: skip
HOSTILE = (
    "{% for i in range(99999) %}{% endfor %}", "{{ 'a' * 10000000000 }}", "{{ 9 ** 9 ** 9 }}", "{{ '%10000000000d' % 5 }}",
    "{{ 'a'.center(10000000000) }}", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{% include '/etc/passwd' %}", "{% for",
    "{{ 'aaaaaaaaaa'.replace('a', 'aaaaaaaaaa') }}", "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{% for m in messages %}{% for n in messages %}{{ n }}{% endfor %}{% endfor %}", "{% for c in 'abc'.split() %}{% endfor %}",
    "{% set a = a + a %}", "{% set x %}{{ messages }}{% endset %}", "{{ '{:>10000000000}'.format(5) }}",
    "{% for m in messages %}{% set ns.x = ns.x + m.content %}{% endfor %}", "{{ messages | join('a' ~ messages) }}",
    "{% filter indent(99999999) %}a{% endfilter %}", "{{ " + "(" * 9999 + "1" + ")" * 9999 + " }}",
)  # fmt: skip


@pytest.mark.parametrize("template", [CHATML, LLAMA, CHAT], ids=["chatml", "llama", "tests"])
def test_usual_templates_are_run_here(template: str) -> None:
    assert chat_templates.simple(template)


@pytest.mark.parametrize("template", HOSTILE)
def test_no_other_is(template: str) -> None:
    assert not chat_templates.simple(template)


def tokenizer_with(template: str):
    from tests.app.checkpoints import _PLAIN, _tokenizer

    tokenizer = _tokenizer(_PLAIN, False)
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize("template", [CHATML, LLAMA])
def test_what_is_run_elsewhere_is_what_the_library_writes(template: str) -> None:
    unusual = template + "{% macro m(x) %}{{ x * 2 }}{% endmacro %}{{ m('z') }}{{ eos_token }}"
    tokenizer = tokenizer_with(unusual)
    turns = [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "sat “on”\n"}]
    assert not chat_templates.simple(unusual)
    want = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert chat_templates.render(tokenizer, turns, True) == want and want.endswith("zz</s>")


def test_a_template_that_writes_too_much_is_refused() -> None:
    tokenizer = tokenizer_with("{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}")
    with pytest.raises(ChatTemplateFailed, match="more than 1,000,000"):
        chat_templates.render(tokenizer, [{"role": "user", "content": "x" * 600_000}], False)


def test_a_child_is_ended_by_stop() -> None:
    began = time.monotonic()
    with pytest.raises(Stopped), report_to(ProgressListener(lambda *_: None, lambda: time.monotonic() > began + 0.3)):
        child.run("def make(given):\n    while True: pass", None, 30.0)
    assert time.monotonic() < began + 5


def test_a_child_has_little_memory_and_time() -> None:
    for code in ("return len(bytes(3 * 2**30))", "while True: pass"):
        with pytest.raises(child.Gave):
            child.run(f"def make(given):\n    {code}", None, 1.0)
    assert child.run("def make(given):\n    return given + [1]", [0]) == [0, 1]


GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")  # fmt: skip
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")  # fmt: skip
SMILES = r"(\[[^\]]+]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?|>>?|\*|\$|\%[0-9]{2}|[0-9])"
BLOOM, FALCON, CLIP = r" ?[^(\s|[.,!?…。，、।۔،])]+", "[0-9][0-9][0-9]", r"'s|'t|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@pytest.mark.parametrize("pattern", [GPT2, LLAMA3, GPT4O, SMILES, BLOOM, FALCON, CLIP, r"\s+", " {2,}", r"\d", "."])
def test_usual_expressions_are_run_here(pattern: str) -> None:
    assert not watched.risky(pattern)


RISKY = (
    r"(a+)+$", r"(a|a)*b", r"(?:a*)*", r"(.*)*x", ".*.*.*x", r"(a{1,})+", r"(\w+\s?)+$", r"((ab)*)*", r"(a+)+?", r"(.+)\1",
    r"(a|b){2,}", r"(?<n>a)\k<n>", r"(a+){20,90}",
)  # fmt: skip


@pytest.mark.parametrize("pattern", RISKY)
def test_no_other_expression_is(pattern: str) -> None:
    assert watched.risky(pattern)


def test_an_expression_that_hangs_is_said_and_one_that_does_not_is_run(tmp_path: Path) -> None:
    from tokenizers import Regex, pre_tokenizers

    tokenizer = tokenizer_with("")
    before = tokenizer("the cat")["input_ids"]
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"(?:a+b?)+c|."), "isolated"), tokenizer.backend_tokenizer.pre_tokenizer])  # fmt: skip
    watched.check(tokenizer, tmp_path)
    watched.before(tokenizer, ("the cat",))
    assert tokenizer("the cat")["input_ids"] and before
    began = time.monotonic()
    try:
        watched.before(tokenizer, ("a" * 40_000,))
    except HeadlightError as error:
        assert "expressions" in str(error)
    assert time.monotonic() < began + 30
