"""Synthetic single-sentence tasks: acceptability (cola) and sentiment (sst2)."""

from __future__ import annotations

from random import Random

from harness.data.sources.synthetic.lexicon import a, gerund, other, participle, past, plural, sentence, third, words

# --- cola -----------------------------------------------------------------------------------------------------------

_HUMAN = words(
    "teacher doctor lawyer student farmer soldier pilot nurse writer manager artist singer dancer waiter driver "
    "neighbor friend child girl boy woman man king queen prince princess actor actress guest worker"
)
_REFLEXIVES = {
    "herself": words("girl woman queen princess actress"),
    "himself": words("boy man king prince actor"),
    "themselves": words("girls women queens boys men kings princes actors"),
}
_THINGS = words(
    "book letter picture key box car house window table chair song story apple cake garden door clock bottle hat "
    "coat shirt lamp basket ring camera phone map boat tree bridge"
)
_ADJECTIVES = words(
    "old young tall small happy famous clever lazy brave quiet rich poor angry friendly strong tired honest nervous "
    "polite gentle"
)
_STATES = words("tired happy famous ready late safe quiet strange old")
_BETWEEN = words("near,behind,beside,next to,with", ",")
_TRANSITIVE = words("see know like help visit follow admire watch praise meet remember trust")
_SELF_VERBS = words("hurt blame praise defend admire help draw trust watch describe")
_ON_THINGS = words("buy paint find lose hide steal break take choose draw keep sell")
_INTRANSITIVE = words("sleep arrive smile fall cry laugh swim disappear wait run")
_TAILS = ("", "", "at the station", "after the party", "in the morning")
_PAST_TAILS = (*_TAILS, "yesterday", "last week")


def _person(rng: Random, many: bool = False) -> str:
    word = rng.choice(_HUMAN)
    return plural(word) if many else word


def _agreement(rng: Random, good: bool) -> str:
    """A subject and its verb, often with a noun of the other number between them."""
    many = rng.random() < 0.5
    attractor = _person(rng, many if rng.random() < 0.3 else not many)
    between = rng.choice(
        (
            "",
            f"{rng.choice(_BETWEEN)} the {attractor}",
            f"that the {attractor} {past(rng.choice(_TRANSITIVE))}",
            f"who {past(rng.choice(_TRANSITIVE))} the {attractor}",
            f"who the {attractor} will {rng.choice(_TRANSITIVE)}",
        )
    )
    verb, state = rng.choice(_INTRANSITIVE), rng.choice(_STATES)
    predicates = rng.choice(
        (
            (f"is {state}", f"are {state}"),
            (f"{third(verb)} every day", f"{verb} every day"),
            (f"has {participle(verb)}", f"have {participle(verb)}"),
            (f"was {gerund(verb)}", f"were {gerund(verb)}"),
        )
    )
    return sentence("the", _person(rng, many), between, predicates[many == good])


def _determiner(rng: Random, good: bool) -> str:
    """A determiner and the number of its noun."""
    many = rng.random() < 0.5
    determiner = rng.choice(("these", "many", "several", "those") if many else ("this", "every", "each", "that"))
    adjective = rng.choice(("", "", "new", "cheap", "broken", "lovely", "strange"))
    noun = rng.choice(_THINGS)
    noun = plural(noun) if many == good else noun
    subject = _person(rng, rng.random() < 0.5)
    return sentence("the", subject, past(rng.choice(_ON_THINGS)), determiner, adjective, noun, rng.choice(_PAST_TAILS))


def _reflexive(rng: Random, good: bool) -> str:
    """A reflexive and its antecedent, often with a noun between them that the wrong reflexive would fit."""
    right, wrong = rng.sample(tuple(_REFLEXIVES), 2)
    rival = rng.choice(_REFLEXIVES[wrong])
    between = rng.choice(("", f"near the {rival}", f"who met the {rival}", f"that the {rival} saw"))
    head, verb = rng.choice(_REFLEXIVES[right]), past(rng.choice(_SELF_VERBS))
    return sentence("the", head, between, verb, right if good else wrong, rng.choice(_PAST_TAILS))


def _auxiliary(rng: Random, good: bool) -> str:
    """An auxiliary and the verb form that it requires."""
    verb = rng.choice([verb for verb in _ON_THINGS if participle(verb) != past(verb)])
    forms = {
        "will": verb, "can": verb, "should": verb, "did not": verb, "must": verb,
        "has": participle(verb), "has already": participle(verb), "is": gerund(verb), "was": gerund(verb),
    }  # fmt: skip
    auxiliary = rng.choice(tuple(forms))
    right = forms[auxiliary]
    form = right if good else other(rng, (verb, gerund(verb), past(verb), third(verb)), right)
    return sentence("the", _person(rng), auxiliary, form, a(rng.choice(_THINGS)), rng.choice(_TAILS))


def _order(rng: Random, good: bool) -> str:
    """Four neighbouring words in another order."""
    verb, (thing, place) = rng.choice(_ON_THINGS), rng.sample(_THINGS, 2)
    verbs = rng.choice((["has", participle(verb)], ["will", verb]))
    preposition = rng.choice(("in", "near", "behind", "under"))
    order = ["the", rng.choice(_ADJECTIVES), _person(rng), *verbs, "the", thing, preposition, "the", place]
    if not good:
        at = rng.randrange(3)
        phrase = order[at : at + 4]
        while phrase == order[at : at + 4]:
            rng.shuffle(phrase)
        order[at : at + 4] = phrase
    return sentence(*order)


def _function_word(rng: Random, good: bool) -> str:
    """A function word is missing or doubled."""
    person, owner, thing, verb = _person(rng), _person(rng), rng.choice(_THINGS), rng.choice(_ON_THINGS)
    order = rng.choice(
        (
            ["the", person, "wants", "to", verb, "the", thing, "of", "the", owner],
            ["the", person, "decided", "to", verb, a(thing), "for", "the", owner],
            ["the", person, "was", "looking", "for", "the", thing, "of", "the", owner],
            ["the", thing, "was", participle(verb), "by", "the", owner],
        )
    )
    if not good:
        at = rng.choice([at for at, word in enumerate(order) if word in ("the", "to", "of", "for", "by", "was") and at])
        order[at : at + 1] = rng.choice(([], [order[at]] * 2))
    return sentence(*order, rng.choice(_TAILS))


def _arguments(rng: Random, good: bool) -> str:
    """A verb with an object it cannot take, or without the one it needs."""
    person = rng.choice(("the", "my", "our")) + " " + rng.choice(_ADJECTIVES) + " " + _person(rng, rng.random() < 0.5)
    thing = rng.choice(("the", "my", "our")) + " " + rng.choice(_THINGS)
    if rng.random() < 0.5:
        verb = past(rng.choice(("sleep", "arrive", "smile", "disappear", "fall", "cry", "laugh", "exist")))
        return sentence(person, verb, "" if good else thing, rng.choice(_PAST_TAILS))
    verb = past(
        rng.choice(("devour", "repair", "put on", "throw away", "destroy", "mention", "enjoy", "pick up", "need"))
    )
    return sentence(person, verb, thing if good else "", rng.choice(_PAST_TAILS))


def _question(rng: Random, good: bool) -> str:
    """A wh-question: inverted, and with its gap left empty."""
    person, verb, thing = "the " + _person(rng, rng.random() < 0.5), rng.choice(_ON_THINGS), rng.choice(_THINGS)
    tail = rng.choice(_TAILS)
    if rng.random() < 0.5:
        filled = "" if good else f"the {thing}"
        return sentence(rng.choice(("what did", "which box will", "what should")), person, verb, filled, tail, end="?")
    word, auxiliary = rng.choice(("why", "when", "where", "how")), rng.choice(("did", "will", "should", "can"))
    order = (auxiliary, person) if good else (person, auxiliary)
    return sentence(word, *order, verb, f"the {thing}", tail, end="?")


# The mix is easy enough for a small encoder to learn something from a few hundred rows.
_PHENOMENA = (
    _order, _order, _order, _order, _function_word, _function_word, _function_word, _auxiliary, _auxiliary,
    _determiner, _question, _agreement, _reflexive, _arguments,
)  # fmt: skip


def cola(rng: Random, label: int, genre: int) -> tuple[str, ...]:
    """One sentence with (0) or without (1) a violation of English syntax."""
    return (rng.choice(_PHENOMENA)(rng, label == 1),)


# --- sst2 -----------------------------------------------------------------------------------------------------------

_ASPECTS = words(
    "movie,film,plot,story,script,acting,cast,dialogue,ending,soundtrack,humor,direction,camera work,main character,"
    "first half,second half,sequel,comedy,drama,documentary,romance,thriller,pacing,villain,lead actor,screenplay,"
    "love story,final scene,remake,cartoon",
    ",",
)
_GOOD = words(
    "wonderful brilliant charming funny moving clever delightful gripping original beautiful superb touching witty "
    "enjoyable elegant fresh fascinating impressive memorable heartfelt thrilling convincing graceful intelligent "
    "hilarious stunning satisfying warm inventive powerful subtle tender lively sincere poetic magical smart "
    "entertaining polished irresistible"
)
_BAD = words(
    "terrible boring dull awful stupid predictable silly tedious clumsy lifeless annoying messy shallow pointless "
    "ugly weak tiresome forgettable pretentious confusing bland ridiculous sloppy lazy painful unfunny dreadful "
    "stale disappointing hollow mediocre cold repetitive childish chaotic wooden absurd unbearable flat empty"
)
_GOOD_PHRASES = words(
    "made me laugh until i cried,is worth every minute,deserves every award,kept me on the edge of my seat,"
    "stays with you for days,is a joy to watch,hits all the right notes,is a feast for the eyes,left me wanting more,"
    "breathes new life into the genre,won me over,warmed my heart,rewards your patience,is a small miracle,"
    "exceeded my hopes,gets everything right,is hard to resist,lingers in the mind,flies by,has a lot of heart",
    ",",
)
_BAD_PHRASES = words(
    "put me to sleep,is a waste of time,made me check my watch,has no pulse,should have stayed on the shelf,"
    "goes nowhere,wears out its welcome,left me cold,is a slog,insults the viewer,falls flat,"
    "collapses under its own weight,made me want my money back,tests your patience,is hard to sit through,"
    "runs out of ideas,gets everything wrong,"
    "is best forgotten,drags on and on,has nothing to say",
    ",",
)
_INTENSIFIERS = words("very really quite truly so rather surprisingly utterly")
_AFFIRMING = (
    "{s} is {a}", "{s} is {i} {a}", "{s} turns out to be {a}", "i found {s} {i} {a}", "{s} is nothing if not {a}",
    "{s} never stops being {a}", "nobody can deny that {s} is {a}", "{s} is as {a} as ever",
    "{s} is more {a} than {o}", "{s} never fails to be {a}",
    "those who call {s} {a} are right", "those who call {s} {o} are wrong", "{s} is less {o} than {a}",
)  # fmt: skip
_DENYING = (
    "{s} is not {a}", "{s} is hardly {a}", "{s} is anything but {a}", "{s} fails to be {a}", "{s} is never {a}",
    "{s} is far from {a}", "{s} is not at all {a}", "i did not find {s} {a}", "nobody would call {s} {a}",
    "{s} is no longer {a}", "{s} stops being {a} very soon", "{s} is less {a} than {o}",
    "those who call {s} {a} are wrong", "it is a mistake to call {s} {a}", "{s} is too {o} to be {a}",
)  # fmt: skip
_AGREEING = ("it is true that {}", "i agree that {}", "nobody doubts that {}", "few would dispute that {}")
_DISAGREEING = ("it is not true that {}", "i disagree that {}", "nobody believes that {}", "few would claim that {}")


def _claim(rng: Random, positive: bool, subject: str) -> str:
    """A clause of that polarity, sometimes inside a clause that affirms or denies it."""
    if rng.random() < 0.85:
        return _judgement(rng, positive, subject)
    deny = rng.random() < 0.5
    return rng.choice(_DISAGREEING if deny else _AGREEING).format(_judgement(rng, positive != deny, subject))


def _judgement(rng: Random, positive: bool, subject: str) -> str:
    """A phrase, an adjective, or the negation of an adjective of the other polarity."""
    if rng.random() < 0.3:
        return f"{subject} {rng.choice(_GOOD_PHRASES if positive else _BAD_PHRASES)}"
    deny = rng.random() < 0.15
    adjective, opposite = rng.choice(_GOOD), rng.choice(_BAD)
    if positive == deny:
        adjective, opposite = opposite, adjective
    template = rng.choice(_DENYING if deny else _AFFIRMING)
    return template.format(s=subject, a=adjective, o=opposite, i=rng.choice(_INTENSIFIERS))


def sst2(rng: Random, label: int, genre: int) -> tuple[str, ...]:
    """One sentence of a review: negative (0) or positive (1). In a contrast the main clause wins."""
    positive = label == 1
    first, second = (f"the {aspect}" for aspect in rng.sample(_ASPECTS, 2))
    kind = rng.random()
    if kind < 0.7:
        where = rng.choice(("", "", "from start to finish", "in the end", "this time", "most of the time"))
        return (f"{_claim(rng, positive, first)} {where}".strip() + " .",)
    if kind < 0.9:
        return (f"{_claim(rng, positive, first)} and {_claim(rng, positive, second)} .",)
    pattern = rng.choice(
        (
            "{l} , but {w}",
            "{l} , yet in the end {w}",
            "although {l} , {w}",
            "{w} , even though {l}",
            "{w} , even if {l}",
            "my friend says that {l} , but in truth {w}",
            "while it is true that {l} , {w}",
        )
    )
    return (pattern.format(w=_claim(rng, positive, first), l=_claim(rng, not positive, second)) + " .",)
