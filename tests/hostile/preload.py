"""What the fork server imports once, so that no child does."""

from __future__ import annotations

import torch
import transformers.models.auto.modeling_auto
import transformers.models.bart.modeling_bart
import transformers.models.bert.modeling_bert
import transformers.models.gpt2.modeling_gpt2
import transformers.models.llama.modeling_llama
from transformers import AutoConfig, AutoModel, AutoTokenizer, GenerationMixin

import model.checkpoints.library.load
import model.checkpoints.open
import model.compare.checkpoints
import model.profile.read
import viz.overview.overview
from tests.hostile import child, opening

torch.set_num_threads(1)
USED = (AutoConfig, AutoModel, AutoTokenizer, GenerationMixin, transformers, model, viz, child, opening)
