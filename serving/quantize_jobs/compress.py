"""compressed-tensors by llm-compressor (W8A8, W4A16, AWQ, FP8): `python compress.py ORDER.json`."""

import torch
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from datasets import Dataset
from llmcompressor import oneshot
from llmcompressor.modifiers import Modifier
from llmcompressor.modifiers.gptq import GPTQModifier
from llmcompressor.modifiers.quantization import QuantizationModifier
from llmcompressor.modifiers.transform.awq import AWQModifier
from order import Order
from transformers import AutoModelForCausalLM, AutoTokenizer

IGNORED = ["lm_head"]


def main(order: Order) -> None:
    if order.method == "awq" and not torch.accelerator.is_available():
        # It pins memory for a device, and ends in the middle where there is none.
        raise SystemExit("llm-compressor 0.14 makes AWQ on a GPU alone; w4a16 and gptq need none")
    tokenizer = AutoTokenizer.from_pretrained(order.source)
    tokens = order.tokens(tokenizer)
    model = AutoModelForCausalLM.from_pretrained(order.source, dtype="auto")
    rows = [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in tokens]
    oneshot(
        model=model,
        tokenizer=tokenizer,
        recipe=recipe(order),
        **(
            {
                "dataset": Dataset.from_list(rows),
                "num_calibration_samples": len(rows),
                "max_seq_length": order.max_tokens,
                "shuffle_calibration_samples": False,
            }
            if rows
            else {}
        ),
    )
    model.save_pretrained(order.target, save_compressed=True)
    tokenizer.save_pretrained(order.target)
    order.done(tokens, "llmcompressor", "compressed-tensors")


def recipe(order: Order) -> list[Modifier]:
    grouped = QuantizationScheme(
        targets=["Linear"],
        weights=QuantizationArgs(
            num_bits=order.bits, strategy="group", group_size=order.group_size, symmetric=True
        ),
    )
    groups = {"config_groups": {"group_0": grouped}, "ignore": IGNORED}
    match order.method:
        case "w8a8":
            return [QuantizationModifier(targets=["Linear"], scheme="W8A8", ignore=IGNORED)]
        case "fp8":
            return [QuantizationModifier(targets=["Linear"], scheme="FP8_DYNAMIC", ignore=IGNORED)]
        case "w4a16":
            return [GPTQModifier(**groups)]
        case "awq":
            return [AWQModifier(), QuantizationModifier(**groups)]
    raise SystemExit(f"method {order.method!r} is not one of w8a8, fp8, w4a16, awq")


if __name__ == "__main__":
    main(Order.from_arguments())
