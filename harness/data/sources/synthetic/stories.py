"""Synthetic stories of two or three sentences, each with a hypothesis (rte).

As in mnli, the hypothesis alone says nothing about the label.
"""

from __future__ import annotations

from random import Random

from harness.data.sources.synthetic.entailment import (
    CONTRADICTION,
    ENTAILMENT,
    NEUTRAL,
    deeds,
    kinds,
    quantities,
    settings,
)
from harness.data.sources.synthetic.lexicon import (
    CITIES,
    COUNTRIES,
    COUNTRY_OF,
    FRAMES,
    MONTHS,
    NAMES,
    PEOPLE,
    TAXONOMY,
    WEEKDAYS,
    a,
    other,
    participle,
    past,
    sentence,
)


def _biography(rng: Random, name: str) -> str:
    """A remark about a person that settles none of the hypotheses."""
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
    """The fact together with one about somebody else or, more often, with a remark."""
    company = rng.choice(((decoy,), (_biography(rng, name),), (_biography(rng, name),)))
    return _story(rng, fact, *company)


def _plain(rng: Random, holds: bool) -> tuple[str, str]:
    """A pair like those of mnli, with a remark."""
    kind = rng.choice((kinds, deeds, deeds, quantities, settings))
    label = ENTAILMENT if holds else rng.choice((NEUTRAL, CONTRADICTION))
    premise, hypothesis = kind(rng, label, rng.randrange(2))
    return _story(rng, premise, _biography(rng, rng.choice(NAMES))), hypothesis


def _report(rng: Random, holds: bool) -> tuple[str, str]:
    """The same event in other words, or an event with other people and things."""
    frame = rng.choice(FRAMES)
    thing = rng.choice(frame.objects)
    person = other(rng, PEOPLE, thing)
    hypothesis = sentence("the", rng.choice(person), past(rng.choice(frame.verbs)), "the", rng.choice(thing))
    told = frame
    if not holds:
        told = rng.choice((frame, other(rng, FRAMES, frame)))
        thing = other(rng, told.objects, thing, person)
        person = other(rng, PEOPLE, thing, person)
    agent, noun, verb = f"the {rng.choice(person)}", f"the {rng.choice(thing)}", rng.choice(told.verbs)
    event = rng.choice((f"{agent} {past(verb)} {noun}", f"{noun} was {participle(verb)} by {agent}"))
    fact = sentence(event, f"in {rng.choice(CITIES)}")
    return _story(rng, fact, *([_biography(rng, rng.choice(NAMES))] if rng.random() < 0.3 else [])), hypothesis


def _residence(rng: Random, holds: bool) -> tuple[str, str]:
    """A city lies in its country; the other person in the premise lives in another country."""
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
    professions = TAXONOMY["professional"]
    asked = rng.choice(tuple(professions))
    own, others = rng.choice(professions[asked]), rng.choice(professions[other(rng, tuple(professions), asked)])
    own, others = (own, others) if holds else (others, own)
    works = ("{} is {}.", "{} works as {}.", "{} has been {} for ten years.")
    fact, decoy = rng.choice(works).format(name, a(own)), rng.choice(works).format(rival, a(others))
    return _with_company(rng, name, fact, decoy), f"{name} is {a(asked)}."


def _trade(rng: Random, holds: bool) -> tuple[str, str]:
    """A buys from B if B sells to A."""
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
    """One of two people did it; the other did the opposite or only intended to."""
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
    kind = rng.choice((_report,) * 7 + (_plain,) * 2 + (_residence, _profession, _deed))
    return kind(rng, label == 0)
