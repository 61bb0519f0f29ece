"""Words of the synthetic suite and their forms: plain English that any pre-trained encoder knows.

Every table is a tuple or a dict, never a set, because the order of a set of strings differs between processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


def words(text: str, separator: str = " ") -> tuple[str, ...]:
    """The words of a line as a tuple."""
    return tuple(text.split(separator))


NAMES = tuple(
    f"{first} {last}"
    for first, last in zip(
        words(
            "Anna Peter Maria James Laura Thomas Emma David Sofia Robert Julia Michael Clara Daniel Alice Martin Helen "
            "Victor Nina Oscar Diana Frank Ruth Simon Paula George Irene Samuel Rosa Henry"
        ),
        words(
            "Keller Novak Lopez Carter Rossi Becker Lindberg Murphy Petrov Hughes Moreau Tanaka Weber Santos Foster "
            "Nolan Fischer Marino Olsen Brandt Costa Walker Haddad Jensen Ortega Price Vogel Adler Silva Barnes"
        ),
        strict=True,
    )
)
COUNTRY_OF = {
    "Berlin": "Germany", "Munich": "Germany", "Hamburg": "Germany", "Paris": "France", "Lyon": "France",
    "Marseille": "France", "Rome": "Italy", "Milan": "Italy", "Naples": "Italy", "Madrid": "Spain",
    "Barcelona": "Spain", "Seville": "Spain", "London": "England", "Manchester": "England", "Liverpool": "England",
    "Tokyo": "Japan", "Osaka": "Japan", "Kyoto": "Japan", "Moscow": "Russia", "Chicago": "America",
    "Boston": "America", "Dallas": "America", "Seattle": "America", "Toronto": "Canada", "Montreal": "Canada",
    "Vancouver": "Canada", "Sydney": "Australia", "Melbourne": "Australia", "Mumbai": "India", "Delhi": "India",
    "Cairo": "Egypt", "Vienna": "Austria", "Athens": "Greece", "Dublin": "Ireland", "Oslo": "Norway",
    "Lisbon": "Portugal", "Warsaw": "Poland", "Stockholm": "Sweden",
}  # fmt: skip
CITIES = tuple(COUNTRY_OF)
COUNTRIES = tuple(dict.fromkeys(COUNTRY_OF.values()))
WEEKDAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = words("January February March April May June July August September October November December")
NUMBERS = words("two three four five six seven eight nine ten eleven twelve")

# A word and its synonym; the first is the more usual one.
PEOPLE = (
    ("teacher", "instructor"), ("doctor", "physician"), ("lawyer", "attorney"), ("child", "kid"),
    ("manager", "boss"), ("writer", "author"), ("student", "pupil"), ("policeman", "cop"), ("farmer", "grower"),
    ("soldier", "trooper"), ("merchant", "trader"), ("thief", "robber"), ("sailor", "seaman"),
    ("king", "monarch"), ("worker", "employee"), ("visitor", "guest"), ("customer", "client"),
    ("priest", "clergyman"), ("pilot", "airman"), ("reporter", "journalist"), ("scientist", "researcher"),
    ("cook", "chef"), ("tailor", "dressmaker"), ("woman", "lady"), ("man", "gentleman"), ("singer", "vocalist"),
    ("neighbor", "person next door"), ("friend", "buddy"), ("guard", "watchman"), ("mayor", "head of the city"),
)  # fmt: skip
PLACES = (
    ("kitchen", "cooking area"), ("garden", "backyard"), ("office", "workplace"), ("store", "shop"),
    ("station", "train stop"), ("hospital", "clinic"), ("harbor", "port"), ("forest", "woods"), ("hotel", "inn"),
    ("basement", "cellar"), ("school", "classroom"), ("airport", "airfield"), ("bar", "pub"), ("village", "hamlet"),
    ("factory", "plant"), ("beach", "seaside"), ("library", "reading room"), ("stadium", "sports arena"),
    ("museum", "gallery"), ("market", "bazaar"),
)  # fmt: skip
TIMES = (
    ("in the morning", "before noon"), ("in the evening", "at dusk"), ("at night", "after dark"),
    ("last week", "a week ago"), ("last year", "a year ago"), ("on the weekend", "on Saturday and Sunday"),
    ("at noon", "at midday"), ("in the fall", "in autumn"), ("every day", "daily"), ("every year", "annually"),
    ("recently", "a short time ago"), ("at dawn", "at sunrise"), ("long ago", "in the distant past"),
    ("in the winter", "in the cold season"),
)  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """A transitive verb with its synonyms, the verbs that exclude it, and pairs (object, synonym) that it takes."""

    verbs: tuple[str, ...]
    opposites: tuple[str, ...]
    objects: tuple[tuple[str, str], ...]


_GOODS = (
    ("car", "automobile"), ("phone", "telephone"), ("couch", "sofa"), ("picture", "photo"), ("gift", "present"),
    ("bike", "bicycle"), ("ring", "piece of jewelry"), ("house", "home"), ("boat", "ship"), ("rug", "carpet"),
    ("coat", "jacket"), ("suitcase", "luggage"), ("stone", "rock"), ("cup", "mug"), ("television", "TV set"),
)  # fmt: skip
_MACHINES = (
    ("car", "automobile"), ("engine", "motor"), ("computer", "PC"), ("bike", "bicycle"), ("phone", "telephone"),
    ("airplane", "aircraft"), ("elevator", "lift"), ("refrigerator", "fridge"), ("truck", "lorry"),
)  # fmt: skip
_BUILDINGS = (
    ("house", "home"), ("store", "shop"), ("church", "chapel"), ("tower", "spire"), ("barn", "stable"),
    ("palace", "castle"), ("hotel", "inn"), ("theater", "playhouse"), ("prison", "jail"), ("wall", "barrier"),
)  # fmt: skip
_PLANS = (
    ("plan", "scheme"), ("offer", "proposal"), ("contract", "agreement"), ("idea", "suggestion"),
    ("law", "statute"), ("budget", "spending plan"), ("request", "application"), ("rule", "regulation"),
)  # fmt: skip
_EVENTS = (
    ("meeting", "conference"), ("race", "running contest"), ("lesson", "class"), ("party", "celebration"),
    ("journey", "trip"), ("job", "task"), ("concert", "musical show"), ("war", "armed conflict"), ("speech", "talk"),
)  # fmt: skip
_AMOUNTS = (
    ("price", "cost"), ("salary", "pay"), ("tax", "levy"), ("speed", "pace"), ("rent", "housing cost"),
    ("fee", "charge"), ("temperature", "heat level"), ("production", "output"),
)  # fmt: skip
_OPENABLE = (
    ("door", "entrance"), ("box", "crate"), ("store", "shop"), ("gate", "barrier"), ("bag", "sack"),
    ("safe", "strongbox"), ("bottle", "flask"), ("letter", "envelope"), ("window", "pane"),
)  # fmt: skip
_WORKS = (
    ("movie", "film"), ("book", "volume"), ("song", "tune"), ("picture", "painting"), ("story", "tale"),
    ("speech", "talk"), ("essay", "paper"), ("poem", "verse"), ("play", "drama"),
)  # fmt: skip
FRAMES = (
    Frame(("buy", "purchase", "acquire"), ("sell", "give away"), _GOODS),
    Frame(("repair", "fix", "mend"), ("break", "wreck"), _MACHINES),
    Frame(("build", "construct", "erect"), ("demolish", "tear down"), _BUILDINGS),
    Frame(("accept", "approve"), ("reject", "turn down"), _PLANS),
    Frame(("start", "begin"), ("finish", "end"), _EVENTS),
    Frame(("raise", "increase"), ("reduce", "cut"), _AMOUNTS),
    Frame(("open", "unlock"), ("close", "shut"), _OPENABLE),
    Frame(("praise", "applaud", "compliment"), ("criticize", "condemn"), _WORKS + PEOPLE[:14]),
    Frame(("find", "discover"), ("lose", "misplace"), _GOODS),
    Frame(("hire", "employ", "recruit"), ("fire", "dismiss"), PEOPLE),
    Frame(("love", "adore"), ("hate", "detest"), _WORKS + PEOPLE[14:]),
    Frame(("help", "assist", "aid"), ("harm", "hurt"), PEOPLE),
    Frame(("hide", "conceal"), ("display", "show"), _GOODS),
    Frame(("defend", "protect"), ("attack", "assault"), _BUILDINGS + PEOPLE[10:]),
    Frame(("remember", "recall"), ("forget",), _EVENTS[:-1] + _WORKS),
    Frame(("cancel", "call off"), ("hold", "attend"), _EVENTS),
    Frame(("trust", "believe"), ("doubt", "mistrust"), PEOPLE),
    Frame(("keep", "retain"), ("throw away", "discard"), _GOODS),
    Frame(("welcome", "greet"), ("ignore", "avoid"), PEOPLE),
    Frame(("free", "release"), ("arrest", "imprison"), PEOPLE),
)

# Hypernym -> word -> hyponyms. All take "a"/"an" and a regular plural unless `_PLURALS` says otherwise.
TAXONOMY = {
    "animal": {
        "dog": ("poodle", "beagle", "terrier", "bulldog"), "bird": ("parrot", "sparrow", "pigeon", "owl"),
        "insect": ("bee", "butterfly", "beetle", "mosquito"), "fish": ("salmon", "trout", "shark", "tuna"),
    },
    "vehicle": {
        "car": ("taxi", "limousine", "convertible"), "boat": ("canoe", "ferry", "sailboat"),
        "truck": ("pickup", "fire engine", "delivery truck"),
    },
    "instrument": {"guitar": ("bass guitar", "electric guitar"), "drum": ("snare drum", "bass drum")},
    "plant": {"flower": ("rose", "tulip", "daisy", "lily"), "tree": ("oak", "pine", "maple", "palm")},
    "garment": {
        "shoe": ("boot", "sneaker", "sandal"), "hat": ("beret", "cowboy hat", "straw hat"),
        "coat": ("raincoat", "fur coat", "parka"),
    },
    "building": {
        "house": ("cottage", "villa", "cabin"), "store": ("bakery", "bookstore", "pharmacy"),
        "church": ("chapel", "cathedral"),
    },
    "professional": {
        "doctor": ("surgeon", "dentist", "psychiatrist"), "musician": ("violinist", "pianist", "drummer"),
        "artist": ("painter", "sculptor"), "athlete": ("swimmer", "boxer", "sprinter"),
        "scientist": ("chemist", "physicist", "biologist"),
    },
    "tool": {"knife": ("kitchen knife", "pocket knife"), "saw": ("chainsaw", "hand saw")},
    "toy": {"doll": ("barbie", "rag doll"), "game": ("board game", "card game")},
    "weapon": {"gun": ("rifle", "pistol"), "sword": ("saber", "rapier")},
    "document": {"book": ("novel", "dictionary", "cookbook"), "letter": ("love letter", "postcard")},
    "food": {
        "fruit": ("banana", "pear", "peach", "apple"), "vegetable": ("carrot", "onion", "potato", "cabbage"),
        "dessert": ("cake", "pie", "pudding"),
    },
}  # fmt: skip

_PAST = {
    "buy": "bought", "sell": "sold", "give": "gave", "break": "broke", "build": "built", "tear": "tore",
    "begin": "began", "cut": "cut", "shut": "shut", "find": "found", "lose": "lost", "hurt": "hurt",
    "hide": "hid", "show": "showed", "forget": "forgot", "hold": "held", "keep": "kept", "throw": "threw",
    "write": "wrote", "see": "saw", "eat": "ate", "choose": "chose", "take": "took", "draw": "drew", "leave": "left",
    "sing": "sang", "drive": "drove", "know": "knew", "read": "read", "steal": "stole", "paint": "painted",
    "meet": "met", "beat": "beat", "win": "won", "sue": "sued", "speak": "spoke", "sleep": "slept", "swim": "swam",
    "fall": "fell", "run": "ran", "blow": "blew", "drink": "drank",
}  # fmt: skip
_PARTICIPLE = {
    "give": "given", "break": "broken", "tear": "torn", "begin": "begun", "hide": "hidden", "show": "shown",
    "forget": "forgotten", "throw": "thrown", "write": "written", "see": "seen", "eat": "eaten", "choose": "chosen",
    "take": "taken", "draw": "drawn", "sing": "sung", "drive": "driven", "know": "known", "steal": "stolen",
    "beat": "beaten", "speak": "spoken", "swim": "swum", "fall": "fallen", "run": "run", "blow": "blown",
    "drink": "drunk",
}  # fmt: skip
_PLURALS = {
    "child": "children", "man": "men", "woman": "women", "policeman": "policemen", "knife": "knives",
    "thief": "thieves", "fish": "fish", "salmon": "salmon", "trout": "trout", "tuna": "tuna",
}  # fmt: skip
_DOUBLED = ("run", "swim", "cut", "shut", "begin", "forget", "win", "hug", "stop", "beg", "plan")


def _apply(rule, verb: str) -> str:
    head, _, particle = verb.partition(" ")
    return f"{rule(head)} {particle}".strip()


def _regular_past(verb: str) -> str:
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + verb[-1] + "ed" if verb in _DOUBLED else verb + "ed"


def past(verb: str) -> str:
    """`call off` -> `called off`."""
    return _apply(lambda head: _PAST.get(head) or _regular_past(head), verb)


def participle(verb: str) -> str:
    return _apply(lambda head: _PARTICIPLE.get(head) or _PAST.get(head) or _regular_past(head), verb)


def gerund(verb: str) -> str:
    def rule(head: str) -> str:
        if head.endswith("e") and not head.endswith("ee"):
            return head[:-1] + "ing"
        return head + head[-1] + "ing" if head in _DOUBLED else head + "ing"

    return _apply(rule, verb)


def plural(noun: str) -> str:
    """`fire engine` -> `fire engines`; also the third person singular of a regular verb."""
    if noun in _PLURALS:
        return _PLURALS[noun]
    if noun.endswith(("s", "sh", "ch", "x")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def third(verb: str) -> str:
    """Third person singular, present."""
    return _apply(plural, verb)


def a(noun: str) -> str:
    """The noun with its indefinite article."""
    return ("an " if noun[0].lower() in "aeiou" else "a ") + noun


def sentence(*parts: str, end: str = ".") -> str:
    """Join the non-empty parts, capitalise the first letter and append `end`."""
    text = " ".join(part for part in parts if part).replace(" ,", ",")
    return text[0].upper() + text[1:] + end


def other(rng: Random, items: tuple, *taken):
    """An item that is none of `taken`."""
    return rng.choice([item for item in items if item not in taken])
