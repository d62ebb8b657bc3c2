#include "quant/calibration_texts.h"

namespace linnet {
namespace {

constexpr HeldOutText kHeldOutTexts[] = {
    {"english", R"(The ferry left ten minutes late because a lorry had stalled on the ramp. Nobody
minded. It was the first warm
evening of the year, and the passengers stood along the rail with their coats over their arms, watching
the cranes of the harbour
grow small. A boy counted the gulls and gave up at forty. When the engine settled into its deeper note,
the captain came out
of the wheelhouse, looked at the sky in the west, and told the cook to put the soup back on the stove;
there would be wind
before they reached the islands, he said, and cold people buy more soup.)"},
    {"german", R"(Im Spätsommer kamen jedes Jahr die Imker über den Pass, mit ihren bunten Kästen auf
den Anhängern, und stellten sie am Rand
der Heide auf. Meine Großmutter backte dann einen Kuchen mehr als sonst und ließ die Tür offen. Wer
hereinkam, bekam ein Stück und
musste dafür erzählen, wie der Sommer im Tal gewesen war: ob es genug geregnet hatte, wem das Heu
verdorben war und warum der Müller
schon wieder prozessierte. So erfuhr man alles, ohne das Haus zu verlassen.)"},
    {"french", R"(Chaque matin, le facteur posait son vélo contre le mur de l'école et montait à pied
jusqu'à la dernière maison du village.
Il aurait pu laisser les lettres en bas, dans la boîte que la mairie avait installée, mais la vieille
dame qui vivait là-haut ne
recevait guère d'autre visite. Elle l'attendait derrière le rideau et faisait semblant d'être surprise.
Ils parlaient du temps, des
prix, des hirondelles ; quelquefois il n'y avait pas de lettre du tout.)"},
    {"spanish", R"(Cuando bajó la marea aparecieron en la playa los restos de una barca. La madera
estaba negra y cubierta de conchas, pero en la
proa todavía se leía la mitad de un nombre. Los pescadores discutieron toda la tarde sobre quién habría
sido su dueño, y al final
decidieron llevarla al almacén, porque una barca con nombre, aunque sea la mitad, no se deja a la
intemperie.)"},
    {"chinese",
     R"(村口有一棵老槐树，没有人知道它有多少年了。夏天的傍晚，人们搬着竹椅坐在树下乘凉，孩子们围着树干捉迷藏。
有一年修路，图纸上的线正好从树的中间穿过。老人们没有吵闹，只是每天照旧坐在那里，最后工程师把路改了，绕了
一个小小的弯。)"},
    {"russian", R"(Осенью река становилась такой тихой, что было слышно, как на том берегу хлопает
дверь. Дед вытаскивал лодку, переворачивал её
на козлы и до первых заморозков смолил дно, хотя соседи давно купили пластиковые. Он говорил, что
деревянная лодка помнит дорогу
домой, и никто с ним не спорил: однажды в тумане она и правда вернулась сама.)"},
    {"code", R"(def parse_duration(text: str) -> int:
    """Seconds of a duration such as "1h 20m" or "45s"."""
    units = {"h": 3600, "m": 60, "s": 1}
    total = 0
    number = ""
    for char in text.replace(" ", ""):
        if char.isdigit():
            number += char
        elif char in units and number:
            total += int(number) * units[char]
            number = ""
        else:
            raise ValueError(f"unexpected {char!r} in {text!r}")
    if number:
        raise ValueError(f"{text!r} ends without a unit")
    return total
)"},
    {"mathematics", R"(A train of 180 m passes a signal in 9 s and a bridge in 24 s. Its speed is 180 m
/ 9 s = 20 m/s, which is 72 km/h. While it
passes the bridge, its front travels the length of the bridge and its own: 20 m/s × 24 s = 480 m. The
bridge is therefore
480 m − 180 m = 300 m long. If the train were 60 m shorter, it would need (300 + 120) / 20 = 21 s.)"},
    {"table", R"(| Station | Arrival | Departure | Platform |
|---|---|---|---|
| Altona | | 08:03 | 7 |
| Lüneburg | 08:39 | 08:41 | 2 |
| Uelzen | 08:57 | 08:58 | 101 |
| Celle | 09:21 | 09:23 | 4 |
| Hannover | 09:44 | | 10 |

{"train": 2075, "late_minutes": [0, 2, 1, 4, 3], "cancelled": false, "coaches": 7}
)"},
};

}  // namespace

std::span<const HeldOutText> HeldOutTexts() { return kHeldOutTexts; }

}  // namespace linnet
