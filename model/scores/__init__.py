"""How good written texts are against references: BLEU and chrF by sacrebleu, exact match. Knows no model."""
