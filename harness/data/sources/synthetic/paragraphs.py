"""Synthetic paragraphs with questions whose answers are spans of them (squad)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from random import Random

from harness.data.sources.synthetic.lexicon import (
    CITIES,
    FRAMES,
    MONTHS,
    NAMES,
    NUMBERS,
    PEOPLE,
    participle,
    past,
    sentence,
    words,
)

VERSION = 1  # of the generated text; raise it whenever a row changes
ARTICLES = {"train": 60, "validation": 12}
_PARAGRAPHS = (3, 5)  # per article
_EVENTS = (4, 9)  # per paragraph, each of them a sentence
_QUESTIONS = 5  # per paragraph at most

_REASONS = (
    "to help the poor", "to save money", "because of a bet", "out of fear", "to impress a friend",
    "because of the bad weather", "in order to become famous", "because the law changed",
)  # fmt: skip
_CURRENCIES = words("dollars,million dollars,euros,pounds", ",")

Row = tuple[str, str, str, str, tuple[str, ...], tuple[int, ...]]  # as `harness.data.squad_rows.Question`


def generate(split: str) -> Iterator[Row]:
    """The rows of a split, the same on every machine: id, article, question, context, answers, first characters."""
    digest = hashlib.sha256(f"{VERSION}/spans/{split}".encode()).digest()
    rng = Random(int.from_bytes(digest[:8], "big"))
    for article in range(ARTICLES[split]):
        city = CITIES[article % len(CITIES)]
        title = f"{split}_{city}_{article}"
        for paragraph in range(rng.randint(*_PARAGRAPHS)):
            context, asked = _paragraph(rng, city)
            for number, (question, answer, start) in enumerate(asked[:_QUESTIONS]):
                # As on SQuAD's validation set: a second annotator, who may have left out a preposition.
                others = answer.split(" ", 1)[1:] if answer.startswith(("in ", "for ", "to ")) else [answer]
                starts = (start, start + len(answer) - len(others[0]))
                answers = (answer, others[0]) if split == "validation" else (answer,)
                yield f"{title}_{paragraph}_{number}", title, question, context, answers, starts[: len(answers)]


def _paragraph(rng: Random, city: str) -> tuple[str, list[tuple[str, str, int]]]:
    """A context, and for each of its sentences a question with its answer and the answer's first character."""
    context, asked = f"This is what is known about {city}.", []
    things = {}  # each thing occurs once, so that a question has one answer
    events = rng.randint(*_EVENTS)
    while len(things) < events:
        frame = rng.choice(FRAMES)
        thing = rng.choice(frame.objects)
        if thing[0] in things or thing[1] in things.values():
            continue
        things[thing[0]] = thing[1]
        text, question, answer = _event(rng, rng.choice(frame.verbs), thing)
        context += rng.choice((" ", " ", " ", "\n"))
        asked.append((question, answer, len(context) + text.rindex(answer)))
        context += text
    rng.shuffle(asked)
    return context, asked


def _event(rng: Random, verb: str, thing: tuple[str, str]) -> tuple[str, str, str]:
    """A sentence about a deed, a question about one of its circumstances, and the answer, a part of the sentence."""
    phrases = {
        "who": rng.choice((rng.choice(NAMES), "the " + rng.choice(PEOPLE)[0])),
        "when": rng.choice((f"in {rng.randrange(1850, 2020)}", f"in {rng.choice(MONTHS)}")),
        "why": rng.choice(_REASONS),
        "how much": f"for {rng.choice(NUMBERS)} {rng.choice(_CURRENCIES)}",
    }
    slot = rng.choice(tuple(phrases))
    others = [name for name in phrases if name not in ("who", slot) and rng.random() < 0.6]
    told = [phrases[name] for name in phrases if name == slot != "who" or name in others]
    rng.shuffle(told)
    noun, done = f"the {thing[0]}", participle(verb)
    if rng.random() < 0.5:
        text = sentence(phrases["who"], past(verb), noun, *told)
    else:
        text = sentence(noun, "was", done, "by", phrases["who"], *told)
    asked = f"the {rng.choice(thing)}"
    question = {
        "who": f"who {past(verb)} {asked}", "when": f"when was {asked} {done}", "why": f"why was {asked} {done}",
        "how much": f"for how much was {asked} {done}",
    }[slot]  # fmt: skip
    answer = phrases[slot]
    if answer not in text:  # the sentence begins with it
        answer = answer[0].upper() + answer[1:]
    return text, sentence(question, end="?"), answer
