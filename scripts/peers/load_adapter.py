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
    model.load_adapter(export, use_safetensors=True, set_active=True)
    model.eval()
    with torch.no_grad():
        output = model(**inputs)
    # A question-answering head gives start and end logits of every token instead.
    logits = [output.start_logits, output.end_logits] if "start_logits" in output else [output.logits]
    print(json.dumps(torch.stack(logits, -1).squeeze(-1).tolist()))


if __name__ == "__main__":
    main()
