"""Loads an exported adapter with AdapterHub's own library and prints the logits of some inputs as JSON.

Runs in .venv-peers: python scripts/peers/load_adapter.py ENCODER EXPORT < inputs.json
inputs.json holds the encoder's arguments (input_ids, attention_mask, token_type_ids) as lists.
"""

import json
import logging
import sys

import torch
from adapters import AutoAdapterModel


def main() -> None:
    logging.disable(logging.WARNING)
    encoder, export = sys.argv[1:]
    inputs = {name: torch.tensor(values) for name, values in json.load(sys.stdin).items()}
    model = AutoAdapterModel.from_pretrained(encoder)
    model.load_adapter(export, set_active=True)
    model.eval()
    with torch.no_grad():
        print(json.dumps(model(**inputs).logits.tolist()))


if __name__ == "__main__":
    main()
