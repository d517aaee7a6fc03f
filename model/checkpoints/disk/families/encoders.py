"""Encoder-only families of texts: bidirectional self-attention and masked-token prediction."""

from __future__ import annotations

from functools import partial

from model.checkpoints.disk.families.family import VOCABULARY, Family, RandomModel

_BERT = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
_DISENTANGLED = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "max_relative_positions": 16}
_WORD_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_encoder = partial(Family, architecture="encoder", positions="learned", norm="post")

ENCODERS = (
    _encoder("bert", "BERT, mBERT", "BertForMaskedLM", "BertConfig", _BERT, card="bert",
             random_models=(RandomModel(_WORD_PIECES, "[CLS] $A [SEP]"),
                            RandomModel(_WORD_PIECES, "[CLS] $A [SEP]", "mbert", multilingual=True))),
    _encoder("roberta", "RoBERTa", "RobertaForMaskedLM", "RobertaConfig", _BERT | {"pad_token_id": 1}, card="roberta",
             positions_after_padding=True,
             like=("xlm-roberta", "camembert", "longformer", "xlm-roberta-xl", "roberta-prelayernorm", "ibert", "xmod", "esm",
                   "luke", "data2vec-text"),
             random_models=(RandomModel(("<s>", "<pad>", "</s>", "<unk>", "<mask>"), "<s> $A </s>"),)),
    _encoder("albert", "ALBERT", "AlbertForMaskedLM", "AlbertConfig", _BERT | {"embedding_size": 16}, "one shared layer",
             feed_forward="ffn_output", card="bert"),
    _encoder("distilbert", "DistilBERT", "DistilBertForMaskedLM", "DistilBertConfig",
             {"vocab_size": VOCABULARY, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64,
              "max_position_embeddings": 64}, feed_forward=r"ffn\.lin2", card="bert"),
    _encoder("electra", "ELECTRA", "ElectraForMaskedLM", "ElectraConfig", _BERT | {"embedding_size": 16}, card="bert",
             tasks={"ElectraForPreTraining": "replaced"}),  # its discriminator predicts no token
    _encoder("modernbert", "ModernBERT", "ModernBertForMaskedLM", "ModernBertConfig",
             _BERT | {"local_attention": 8, "global_attn_every_n_layers": 2, "bos_token_id": 1, "eos_token_id": 2,
                      "cls_token_id": 1, "sep_token_id": 2}, "local and global layers", like=("modernbert-decoder",),
             positions="rotary", norm="pre", gated=("encoder",), feed_forward=r"mlp\.Wo", card="bert",
             config_names={"window": "local_attention"}),  # its sliding_window counts one side alone
    _encoder("deberta", "DeBERTa", "DebertaForMaskedLM", "DebertaConfig", _BERT | _DISENTANGLED,
             "disentangled positions", route="replay", positions="relative", card="bert"),
    _encoder("deberta-v2", "DeBERTa-v2, DeBERTa-v3", "DebertaV2ForMaskedLM", "DebertaV2Config",
             _BERT | _DISENTANGLED | {"position_buckets": 8, "share_att_key": True, "norm_rel_ebd": "layer_norm"},
             "disentangled positions", route="replay", positions="relative", card="bert"),
    _encoder("mpnet", "MPNet", "MPNetForMaskedLM", "MPNetConfig", _BERT | {"pad_token_id": 1},
             "relative position bias", route="replay", positions="relative", positions_after_padding=True, card="bert"),
    # Predicts the token at a position from both sides, like a masked model.
    _encoder("xlnet", "XLNet", "XLNetLMHeadModel", "XLNetConfig",
             {"vocab_size": VOCABULARY, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64}, "relative positions",
             route="replay", positions="relative", unlimited_length=True, feed_forward=r"ff\.layer_2", card="xlnet",
             tasks={"XLNetLMHeadModel": "masked"},
             random_models=(RandomModel(("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>"), "$A <sep> <cls>"),)),
    _encoder("xlm", "XLM", "XLMWithLMHeadModel", "XLMConfig",
             {"vocab_size": VOCABULARY, "emb_dim": 32, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 64,
              "pad_index": 2, "bos_index": 0, "eos_index": 1}, route="replay", feed_forward=r"ffns\.\d+\.lin2"),
)  # fmt: skip
