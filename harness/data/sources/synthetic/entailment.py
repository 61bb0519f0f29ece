"""Synthetic sentence pairs of premise and hypothesis (mnli).

The hypothesis is drawn first, regardless of the label, and the premise is then made to fit. So a classifier that sees
only the hypothesis is at chance.
"""

from __future__ import annotations

from random import Random

from harness.data.sources.synthetic.lexicon import (
    FRAMES,
    MONTHS,
    NUMBERS,
    PEOPLE,
    PLACES,
    TAXONOMY,
    TIMES,
    WEEKDAYS,
    a,
    other,
    participle,
    past,
    sentence,
    words,
)

ENTAILMENT, NEUTRAL, CONTRADICTION = 0, 1, 2

# Even items belong to the genre of mnli's training set, odd ones to the mismatched sets: other people, verbs, things.
_HYPERNYMS = tuple(TAXONOMY)
_KINDS = tuple(
    tuple((top, middle) for top in _HYPERNYMS for middle in TAXONOMY[top] if _HYPERNYMS.index(top) % 2 == genre)
    for genre in (0, 1)
)
_SEEN = (
    ("see", "photograph", "draw", "notice", "paint", "film"),
    ("describe", "mention", "touch", "choose", "find", "lose"),
)
_GROUPS = (
    words("students teachers children farmers workers guests players passengers drivers nurses"),
    words("soldiers lawyers tourists sailors customers singers patients voters hunters engineers"),
)
_DEEDS = (
    ("passed the exam", "left the room", "spoke English", "ate the soup", "liked the film", "knew the song",
     "took the bus", "read the letter", "arrived late", "slept well"),
    ("signed the contract", "crossed the river", "carried a bag", "wore a uniform", "lost the game", "paid the fee",
     "joined the union", "visited the castle", "got sick", "heard the alarm"),
)  # fmt: skip
_EXTRAS = (
    words("yesterday,after lunch,with a smile,in the rain,last night,for the first time,together with a friend", ","),
    words(
        "during the trial,before the war,in spite of the noise,on the second day,without a word,near the border", ","
    ),
)
_MANNERS = words("with a smile,in a hurry,without help,for the second time,with great care,out of curiosity", ",")


def _half(items: tuple, genre: int) -> tuple:
    return items[genre::2]


def _detail(rng: Random, genre: int) -> str:
    return rng.choice(("", *_EXTRAS[genre]))


def kinds(rng: Random, label: int, genre: int) -> tuple[str, str]:
    """A dog is an animal and not a bird: generalising is safe, specialising is not, and negation swaps the two."""
    person = rng.choice(rng.choice(_half(PEOPLE, genre)))
    top, middle = rng.choice(_KINDS[genre])
    verb = rng.choice(_SEEN[genre])
    low = rng.choice(TAXONOMY[top][middle])
    extra = _detail(rng, genre)
    yes, no = f"the {person} {past(verb)}", f"the {person} did not {verb}"
    if rng.random() < 0.65:
        hypothesis = sentence(yes, a(middle))
        premise = {
            ENTAILMENT: f"{yes} {a(low)}",
            NEUTRAL: f"{yes} {a(top)}",
            CONTRADICTION: rng.choice((f"{no} any {rng.choice((top, middle))}", f"{yes} nothing at all")),
        }[label]
    else:
        hypothesis = sentence(no, a(middle))
        premise = {
            ENTAILMENT: rng.choice((f"{no} any {top}", f"{yes} nothing at all")),
            NEUTRAL: f"{no} any {low}",
            CONTRADICTION: f"{yes} {a(rng.choice((low, middle)))}",
        }[label]
    return sentence(premise, extra), hypothesis


def deeds(rng: Random, label: int, genre: int) -> tuple[str, str]:
    """Did it happen? Synonyms, opposites, and verbs that settle it or leave it unclear."""
    frame = rng.choice(_half(FRAMES, genre))
    thing = rng.choice(frame.objects)
    person = rng.choice(other(rng, _half(PEOPLE, genre), thing))
    verbs, opposites = rng.sample((frame.verbs, frame.opposites), 2)
    verb, noun = rng.choice(verbs), f"the {rng.choice(thing)}"
    who, extra = f"the {person}", _detail(rng, genre)
    said = rng.choice(verbs)
    done = (
        f"{who} {past(said)} {noun}", f"{who} managed to {said} {noun}", f"{noun} was {participle(said)} by {who}",
        f"{who} succeeded and {past(said)} {noun}",
    )  # fmt: skip
    undone = (
        f"{who} never {past(said)} {noun}", f"{who} refused to {said} {noun}", f"{who} failed to {said} {noun}",
        f"{who} {past(rng.choice(opposites))} {noun}", f"{noun} was not {participle(said)} by {who}",
    )  # fmt: skip
    unclear = (
        f"{who} wanted to {said} {noun}", f"{who} was asked to {said} {noun}", f"{who} promised to {said} {noun}",
        f"{who} may have {participle(said)} {noun}", f"somebody else {past(said)} {noun} before {who} came",
        f"{who} {past(said)} or {past(rng.choice(opposites))} {noun}",
    )  # fmt: skip
    if rng.random() < 0.5:
        hypothesis, premises = sentence(who, past(verb), noun), (done, unclear, undone)
    else:
        hypothesis, premises = sentence(who, "did not", verb, noun), (undone, unclear, done)
    return sentence(rng.choice(premises[label]), extra), hypothesis


def reports(rng: Random, label: int, genre: int) -> tuple[str, str]:
    """The same event in other words, another event, or the opposite of what was done."""
    frame, rival = rng.sample(_half(FRAMES, genre), 2)
    thing = rng.choice(frame.objects)
    person = other(rng, _half(PEOPLE, genre), thing)
    verbs, opposites = rng.sample((frame.verbs, frame.opposites), 2)
    hypothesis = sentence("the", rng.choice(person), past(rng.choice(verbs)), "the", rng.choice(thing))
    if label == NEUTRAL:
        verbs, thing = rng.choice((rival.verbs, rival.opposites)), other(rng, rival.objects, thing, person)
        person = other(rng, _half(PEOPLE, genre), thing, person)
    elif label == CONTRADICTION:
        verbs = opposites
    agent, noun, verb = f"the {rng.choice(person)}", f"the {rng.choice(thing)}", rng.choice(verbs)
    premise = rng.choice((f"{agent} {past(verb)} {noun}", f"{noun} was {participle(verb)} by {agent}"))
    return sentence(premise, _detail(rng, genre)), hypothesis


def roles(rng: Random, label: int, genre: int) -> tuple[str, str]:
    """Who did it to whom: the passive keeps the roles, a swap changes them."""
    frame = rng.choice([frame for frame in _half(FRAMES, genre) if PEOPLE[14] in frame.objects])
    one, two = (rng.choice(words) for words in rng.sample(_half(PEOPLE, genre), 2))
    verb = rng.choice(frame.verbs)
    premise = {
        ENTAILMENT: rng.choice((f"the {two} was {participle(verb)} by the {one}", f"the {one} {past(verb)} the {two}")),
        NEUTRAL: rng.choice((f"the {one} was {participle(verb)} by the {two}", f"the {two} {past(verb)} the {one}")),
        CONTRADICTION: rng.choice(
            (f"the {two} was not {participle(verb)} by the {one}", f"the {one} never {past(verb)} the {two}")
        ),
    }[label]
    extra = rng.choice(_EXTRAS[genre])
    return sentence(premise, extra), sentence("the", one, past(rng.choice(frame.verbs)), "the", two)


def quantities(rng: Random, label: int, genre: int) -> tuple[str, str]:
    """All, some or none of a group, and numbers."""
    group, deed = rng.choice(_GROUPS[genre]), rng.choice(_DEEDS[genre])
    rivals = other(rng, _GROUPS[genre], group)
    number = rng.randrange(3, 8)
    more, fewer = NUMBERS[number + 1], NUMBERS[number - 3]
    every = (f"all of the {group}", f"every one of the {group}", f"each of the {group}")
    some = (f"some of the {group}", f"a few of the {group}", f"one of the {group}")
    none = (f"none of the {group}", f"not one of the {group}", f"not a single one of the {group}")
    elsewhere = (f"all of the {rivals}", f"none of the {rivals}", f"some of the {rivals}")
    hypothesis, premises = rng.choice(
        (
            (rng.choice(every), (every, some, none)),
            (rng.choice(some), (every + some, elsewhere, none)),
            (rng.choice(none), (none, elsewhere, every + some)),
            (f"more than {NUMBERS[number]} {group}", (
                (f"{more} {group}",), (f"at least {fewer} {group}",), (f"only {fewer} {group}", f"no {group}"))),
            (f"fewer than {NUMBERS[number]} {group}", (
                (f"only {fewer} {group}", f"exactly {fewer} {group}"), (f"at least {fewer} {group}",),
                (f"{more} {group}", f"more than {more} {group}"))),
        )
    )  # fmt: skip
    return sentence(rng.choice(premises[label]), deed, _detail(rng, genre)), sentence(hypothesis, deed)


def settings(rng: Random, label: int, genre: int) -> tuple[str, str]:
    """Where and when: a detail that the premise states, lacks, or contradicts."""
    frame = rng.choice(_half(FRAMES, genre))
    thing = rng.choice(frame.objects)
    person = rng.choice(other(rng, _half(PEOPLE, genre), thing))
    core = f"the {person} {past(rng.choice(frame.verbs))} the {thing[0]}"
    if rng.random() < 0.5:
        table = tuple(tuple(f"at the {word}" for word in pair) for pair in _half(PLACES, genre))
        extras = tuple(f"{pair[0]}" for pair in _half(TIMES, genre))
    else:
        table = tuple((f"on {day}",) for day in WEEKDAYS) + tuple((f"in {month}",) for month in MONTHS)
        extras = tuple(f"at the {pair[0]}" for pair in _half(PLACES, genre))
    asked = rng.choice(table)
    extra = rng.choice(extras)
    premise = {
        ENTAILMENT: f"{core} {rng.choice(asked)} {extra}",
        NEUTRAL: f"{core} {extra} {rng.choice(_MANNERS)}",
        CONTRADICTION: f"{core} {extra} {rng.choice(other(rng, table, asked))}",
    }[label]
    return sentence(premise), sentence(core, rng.choice(asked))


def mnli(rng: Random, label: int, genre: int) -> tuple[str, ...]:
    """Premise and hypothesis: entailment (0), neutral (1) or contradiction (2)."""
    kind = rng.choice((reports, reports, reports, kinds, deeds, roles, quantities, settings))
    return kind(rng, label, genre)
