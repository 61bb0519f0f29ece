"""Synthetic inference tasks: mnli, rte and qnli.

In mnli and rte the hypothesis is drawn first and knows nothing of the label; the premise is then made to fit. So
a classifier that sees the hypothesis alone is at chance.
"""

from __future__ import annotations

from random import Random

from harness.data.sources.synthetic.lexicon import (
    CITIES,
    COUNTRIES,
    COUNTRY_OF,
    FRAMES,
    MONTHS,
    NAMES,
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

# Even items are of the genre of mnli's training set, odd ones of the mismatched sets: other people, verbs and things.
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
    (
        "yesterday",
        "after lunch",
        "with a smile",
        "in the rain",
        "last night",
        "for the first time",
        "together with a friend",
    ),
    (
        "during the trial",
        "before the war",
        "in spite of the noise",
        "on the second day",
        "without a word",
        "near the border",
    ),
)

_MANNERS = words("with a smile,in a hurry,without help,for the second time,with great care,out of curiosity", ",")


def _half(items: tuple, genre: int) -> tuple:
    return items[genre::2]


def _detail(rng: Random, genre: int) -> str:
    return rng.choice(("", *_EXTRAS[genre]))


# --- mnli -----------------------------------------------------------------------------------------------------------


def _kinds(rng: Random, label: int, genre: int) -> tuple[str, str]:
    """A dog is an animal and no bird: up is safe, down is not, and a denial turns that round."""
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


def _deeds(rng: Random, label: int, genre: int) -> tuple[str, str]:
    """Did it happen? Synonyms, opposites, and verbs that say so or leave it open."""
    frame = rng.choice(_half(FRAMES, genre))
    thing = rng.choice(frame.objects)
    person = rng.choice(other(rng, _half(PEOPLE, genre), thing))
    verb, noun = rng.choice(frame.verbs), f"the {rng.choice(thing)}"
    who, extra = f"the {person}", _detail(rng, genre)
    said = rng.choice(frame.verbs)
    done = (
        f"{who} {past(said)} {noun}", f"{who} managed to {said} {noun}", f"{noun} was {participle(said)} by {who}",
        f"{who} succeeded and {past(said)} {noun}",
    )  # fmt: skip
    undone = (
        f"{who} never {past(said)} {noun}", f"{who} refused to {said} {noun}", f"{who} failed to {said} {noun}",
        f"{who} {past(rng.choice(frame.opposites))} {noun}", f"{noun} was not {participle(said)} by {who}",
    )  # fmt: skip
    unclear = (
        f"{who} wanted to {said} {noun}", f"{who} was asked to {said} {noun}", f"{who} promised to {said} {noun}",
        f"{who} may have {participle(said)} {noun}", f"somebody else {past(said)} {noun} before {who} came",
        f"{who} {past(said)} or {past(rng.choice(frame.opposites))} {noun}",
    )  # fmt: skip
    if rng.random() < 0.65:
        hypothesis, premises = sentence(who, past(verb), noun), (done, unclear, undone)
    else:
        hypothesis, premises = sentence(who, "did not", verb, noun), (undone, unclear, done)
    return sentence(rng.choice(premises[label]), extra), hypothesis


def _roles(rng: Random, label: int, genre: int) -> tuple[str, str]:
    """Who did it to whom: the passive keeps it, the swap says something else."""
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


def _quantities(rng: Random, label: int, genre: int) -> tuple[str, str]:
    """all, most, some, none of a group, and numbers."""
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


def _settings(rng: Random, label: int, genre: int) -> tuple[str, str]:
    """Where and when: a detail that the premise has, lacks, or has otherwise."""
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
    kind = rng.choice((_kinds, _deeds, _deeds, _roles, _quantities, _settings))
    return kind(rng, label, genre)


# --- rte ------------------------------------------------------------------------------------------------------------


def _biography(rng: Random, name: str) -> str:
    """A remark about a person that settles no hypothesis."""
    return rng.choice(
        (
            f"{name} has two children.", f"{name} spoke to reporters on {rng.choice(WEEKDAYS)}.",
            f"{name} is {rng.randrange(30, 70)} years old.", f"{name} likes music and long walks.",
            f"{name} was born in {rng.choice(MONTHS)}.", f"{name} declined to comment.",
        )
    )  # fmt: skip


def _story(rng: Random, *facts: str) -> str:
    order = list(facts)
    rng.shuffle(order)
    return " ".join(order)


def _with_company(rng: Random, name: str, fact: str, decoy: str) -> str:
    """The fact, and next to it one about somebody else or, more often, a remark."""
    company = rng.choice(((decoy,), (_biography(rng, name),), (_biography(rng, name),)))
    return _story(rng, fact, *company)


def _plain(rng: Random, holds: bool) -> tuple[str, str]:
    """A pair like those of mnli, in company."""
    kind = rng.choice((_kinds, _deeds, _deeds, _quantities, _settings))
    label = ENTAILMENT if holds else rng.choice((NEUTRAL, CONTRADICTION))
    premise, hypothesis = kind(rng, label, rng.randrange(2))
    return _story(rng, premise, _biography(rng, rng.choice(NAMES))), hypothesis


def _residence(rng: Random, holds: bool) -> tuple[str, str]:
    """A city lies in its country; the other person of the premise lives in another one."""
    name, rival = rng.sample(NAMES, 2)
    country = rng.choice(COUNTRIES)
    near = rng.choice([city for city in CITIES if COUNTRY_OF[city] == country])
    far = rng.choice([city for city in CITIES if COUNTRY_OF[city] != country])
    own, others = (near, far) if holds else (far, near)
    lives = ("{} lives in {}.", "{} has a house in {} and lives there.", "The home of {} is in {}.")
    fact, decoy = rng.choice(lives).format(name, own), rng.choice(lives).format(rival, others)
    return _with_company(rng, name, fact, decoy), f"{name} lives in {country}."


def _profession(rng: Random, holds: bool) -> tuple[str, str]:
    """A surgeon is a doctor."""
    name, rival = rng.sample(NAMES, 2)
    kinds = TAXONOMY["professional"]
    asked = rng.choice(tuple(kinds))
    own, others = rng.choice(kinds[asked]), rng.choice(kinds[other(rng, tuple(kinds), asked)])
    own, others = (own, others) if holds else (others, own)
    works = ("{} is {}.", "{} works as {}.", "{} has been {} for ten years.")
    fact, decoy = rng.choice(works).format(name, a(own)), rng.choice(works).format(rival, a(others))
    return _with_company(rng, name, fact, decoy), f"{name} is {a(asked)}."


def _trade(rng: Random, holds: bool) -> tuple[str, str]:
    """Who buys has it from who sells."""
    one, two = rng.sample(NAMES, 2)
    thing = rng.choice(FRAMES[0].objects)
    said, asked = (f"{a(word)}" for word in (rng.choice(thing), rng.choice(thing)))

    def tell(giver: str, taker: str, thing: str) -> tuple[str, ...]:
        return f"{giver} sold {thing} to {taker}", f"{taker} bought {thing} from {giver}"

    fact = rng.choice(tell(one, two, said) if holds else tell(two, one, said))
    when = f"on {rng.choice(WEEKDAYS)}" if rng.random() < 0.7 else f"in {rng.choice(CITIES)}"
    return _story(
        rng, f"{fact} {when}.", _biography(rng, rng.choice((one, two)))
    ), f"{rng.choice(tell(one, two, asked))}."


def _deed(rng: Random, holds: bool) -> tuple[str, str]:
    """One of two people did it; the other did the opposite or only meant to."""
    name, rival = rng.sample(NAMES, 2)
    frame = rng.choice(FRAMES)
    thing, decoy = rng.sample(frame.objects, 2)
    verb, city = rng.choice(frame.verbs), rng.choice(CITIES)

    def did(who: str, thing: str) -> tuple[str, ...]:
        return (
            f"{who} {past(verb)} {thing}",
            f"{thing} was {participle(verb)} by {who}",
            f"{who} managed to {verb} {thing}",
        )

    def did_not(who: str, thing: str) -> tuple[str, ...]:
        return (
            f"{who} refused to {verb} {thing}", f"{who} {past(rng.choice(frame.opposites))} {thing}",
            f"{who} only planned to {verb} {thing}", f"{thing} was never {participle(verb)} by {who}",
        )  # fmt: skip

    said, other_thing = f"the {rng.choice(thing)}", f"the {rng.choice(decoy)}"
    if rng.random() < 0.5:
        yes, no = (name, rival) if holds else (rival, name)
        facts = [rng.choice(did(yes, said)), rng.choice(did_not(no, said))]
    else:
        yes, no = (said, other_thing) if holds else (other_thing, said)
        facts = [rng.choice(did(name, yes)), rng.choice(did_not(name, no))]
    facts[rng.randrange(2)] += f" in {city}"
    hypothesis = sentence(name, past(rng.choice(frame.verbs)), "the", rng.choice(thing))
    return _story(rng, *(sentence(fact) for fact in facts)), hypothesis


def _comparison(rng: Random, holds: bool) -> tuple[str, str]:
    one, two, third = rng.sample(NAMES, 3)
    up, down = rng.sample(
        rng.choice((("older", "younger"), ("taller", "shorter"), ("richer", "poorer"), ("faster", "slower"))), 2
    )

    def tell(x: str, y: str) -> tuple[str, ...]:
        return f"{x} is {up} than {y}.", f"{y} is {down} than {x}."

    fact = rng.choice(tell(one, two) if holds else tell(two, one))
    return _story(rng, fact, _biography(rng, rng.choice((one, third)))), rng.choice(tell(one, two))


def rte(rng: Random, label: int, genre: int) -> tuple[str, ...]:
    """A premise of two or three sentences and a hypothesis: entailment (0) or not (1)."""
    kind = rng.choice((_plain,) * 7 + (_residence, _profession, _deed, rng.choice((_trade, _comparison))))
    return kind(rng, label == 0)
