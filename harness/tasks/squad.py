"""SQuAD v1.1 (Rajpurkar et al. 2016): its files, and how many questions those have."""

from __future__ import annotations

NAME = "squad"
FILES = {"train": "train-v1.1.json", "validation": "dev-v1.1.json"}
OFFICIAL_QUESTIONS = {"train": 87_599, "validation": 10_570}
