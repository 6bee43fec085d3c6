"""GPTQ by GPTQModel, the maintained successor of AutoGPTQ: `python gptq.py ORDER.json`."""

import torch
from gptqmodel import GPTQModel, QuantizeConfig
from order import Order
from transformers import AutoTokenizer


def main(order: Order) -> None:
    tokenizer = AutoTokenizer.from_pretrained(order.source)
    tokens = order.tokens(tokenizer)
    config = QuantizeConfig(bits=order.bits, group_size=order.group_size)
    model = GPTQModel.load(order.source, config)
    model.quantize(
        [
            {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids))}
            for ids in tokens
        ],
        batch_size=1,
    )
    model.save(order.target)
    order.done(tokens, "gptqmodel")


if __name__ == "__main__":
    main(Order.from_arguments())
