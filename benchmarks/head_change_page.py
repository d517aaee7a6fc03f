"""What benchmarks.head_change drives: the matrix of an untrained model's head, `?n=` tokens long, and a button for the next."""

import time

import streamlit as st
import torch

from model.checkpoints.own import OwnModel
from model.text.tokenizer import END, PAD, Tokenizer
from model.trace.site import Site
from model.transformer.config import TransformerConfig
from model.transformer.encoder_decoder import Transformer
from viz.heads import matrix
from viz.ui import components, language

HEADS = 8


@st.cache_resource
def trace(n: int):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    words = tuple(f"w{i}" for i in range(n))
    vocabulary = (PAD, "<start>", END, *words)
    size = len(vocabulary)
    config = TransformerConfig(
        source_vocabulary=size, target_vocabulary=size, d_model=64, heads=HEADS, encoder_layers=1, decoder_layers=1,
        d_ff=64, max_length=n + 1,
    )  # fmt: skip
    tokenizer = Tokenizer(vocabulary, "words", n + 1)
    model = OwnModel("untrained", Transformer(config).eval(), tokenizer, tokenizer, {"x": "<start>"}, {}, "")
    return model.trace(" ".join(words), "w0")


def following() -> None:
    st.session_state.head = (st.session_state.get("head", 0) + 1) % HEADS


run = trace(int(st.query_params["n"]))
st.button("next", key="next", on_click=following)
st.button("same", key="same")
called = time.time() * 1000
frame = matrix.matrix_frame(
    run, Site.parse("encoder.0.self"), st.session_state.get("head", 0), None, language.group("matrix")
)
components.matrix(key="matrix", data=frame)
st.html(f'<i id="called" data-at="{called}" data-size="{len(frame)}"></i>')
