"""Words that hold sentences together and are about nothing: articles, pronouns, prepositions, conjunctions, auxiliary
verbs.

Closed classes of four languages that much data is in. Other languages have none here, and lose nothing but tidiness.
"""

_WORDS = {
    "en": """
        a an the this that these those i me my mine we us our ours you your yours he him his she her hers it its
        they them their theirs who whom whose which what when where why how there here myself yourself itself
        themselves of in on at by for with about from to into onto over under between among through during before
        after above below up down out off against without within as than like per via and or but nor so yet if then
        else because while although though unless until since whether both either neither not no be am is are was
        were been being do does did doing done have has had having will would shall should can could may might must
        let s t re ve ll d m don also too very just only more most much many some any all each every other another
        such same own again further
    """,
    "de": """
        der die das den dem des ein eine einen einem einer eines ich mich mir mein meine du dich dir dein deine er
        ihn ihm sein seine sie ihr ihre es wir uns unser euch man wer wen wem was wann wo warum wie welche welcher
        welches hier da dort in im an am auf aus bei beim mit nach von vom zu zum zur für gegen ohne um über unter
        vor zwischen durch und oder aber denn doch sondern als wenn dass ob weil damit nicht kein keine bin bist ist
        sind war waren wird werden wurde hat haben hatte kann können soll sollen muss müssen darf auch nur noch sehr
        mehr
    """,
    "fr": """
        le la les l un une des du de d je j me m moi mon ma mes tu te t toi ton ta tes il elle on nous vous ils
        elles lui leur leurs se s son sa ses ce c cet cette ces qui que qu quoi quand où comment pourquoi quel
        quelle quels quelles y en à au aux dans par pour sur sous avec sans entre chez vers et ou mais donc ni car
        si comme ne n pas plus est es suis sont été était être a ai as ont avait avoir fait peut doit aussi très
    """,
    "es": """
        el la los las lo un una unos unas de del al yo me mi mis tú te tu tus él ella ello nos nosotros ellos ellas
        le les se su sus este esta estos estas ese esa eso esto que quien qué quién cuando cuándo donde dónde como
        cómo cuál en a con por para sin sobre entre desde hasta y e o u pero ni si porque no es son era fue ser está
        están ha han hay había puede debe más muy también
    """,
}
FUNCTION_WORDS = frozenset(word for words in _WORDS.values() for word in words.split())
