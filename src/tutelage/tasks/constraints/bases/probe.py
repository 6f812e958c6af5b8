"""What the probe split asks for, before any constraint."""

INSTRUCTIONS = (
    "Write something about {topic}.",
    "Give me a short overview of {topic}.",
    "Say what you know about {topic}.",
    "Help a newcomer understand {topic}.",
    "Draft a short text message about {topic}.",
    "Write a postcard that mentions {topic}.",
    "Make up the first lines of a tale about {topic}.",
    "Point out a difference between {topic} and {other}.",
    "Name the good and the bad side of {topic}.",
    "Write a brief review of {topic}.",
    "Convince a doubtful friend to think about {topic}.",
    "Recall an everyday scene with {topic}.",
    "Write a short radio announcement about {topic}.",
    "Suggest a simple way to enjoy {topic} more.",
    "Clear up a common mistake about {topic}.",
    "Write a short caption for a photo of {topic}.",
    "Write a thank-you note that mentions {topic}.",
    "Teach me one thing about {topic}.",
    "How would you explain {topic} to a neighbor?",
    "What comes to mind when you think of {topic}?",
)

QUESTIONS = (
    "Do young people care about {topic}?",
    "Could a village do without {topic}?",
    "Did {topic} change much in the last century?",
    "Is it worth spending a whole day on {topic}?",
    "Does a busy person have time for {topic}?",
)

TOPICS = """
health | drinking enough water | glass thirst body day
health | the common cold | nose cough rest fever
health | good posture | back sit shoulders straight
health | reading glasses | eyes lens see book
home | cleaning windows | glass cloth water soap
home | a leaking tap | water plumber drip washer
home | cozy blankets | warm bed soft winter
home | spring cleaning | dust rooms house closet
food | olive oil | salad cook press bottle
food | pancakes | batter pan syrup breakfast
food | spicy food | pepper hot tongue chili
food | picnic lunches | basket park sandwich grass
travel | airport queues | flight wait passport luggage
travel | camping trips | tent fire night forest
travel | road maps | route drive paper turn
travel | island ferries | boat sea water deck
work | a first day at a new job | office boss colleagues nervous
work | polite emails | write greeting reply message
work | coffee breaks | cup talk rest colleagues
work | night shifts | dark tired hospital sleep
science | gravity | fall earth weight pull
science | snowflakes | ice crystal cold winter
science | echoes | sound wall voice cave
science | fossils | bones rock ancient dinosaur
nature | penguins | ice bird swim fish
nature | oak trees | acorn leaves branch forest
nature | butterflies | wings flower caterpillar color
nature | river floods | water rain bank damage
technology | smartphones | screen call battery app
technology | solar panels | sun roof energy power
technology | washing machines | clothes water spin laundry
technology | search engines | internet find website question
history | Roman roads | stone army travel empire
history | the Silk Road | trade camels merchants spices
history | sailing ships | wind sea captain masts
history | steam engines | coal train factory water
sport | soccer practice | ball team goal coach
sport | ice skating | rink skates balance cold
sport | yoga for beginners | mat breathe stretch calm
sport | chess clubs | board king move player
money | household bills | pay month electricity rent
money | pocket money | child coins save week
money | discount coupons | price store buy cheap
money | lending money to a friend | pay trust owe back
arts | theater plays | stage actor audience curtain
arts | clay pottery | bowl hands wheel kiln
arts | jazz concerts | music trumpet band stage
arts | museum visits | paintings art gallery guide
family | twins | brother sister same born
family | bedtime stories | child book read sleep
family | an old family recipe | cook grandmother kitchen taste
family | moving to a new house | boxes rooms neighbors truck
school | homework | teacher study evening exercise
school | school buses | driver children morning yellow
school | learning to count | numbers fingers child ten
school | group projects | team work students share
city | street musicians | guitar song coins listen
city | city parks | trees bench grass children
city | traffic lights | red cars stop green
city | tall office towers | elevator floors glass windows
leisure | fishing at a lake | rod boat water quiet
leisure | crossword puzzles | words clue letters newspaper
leisure | baking cookies | oven dough sugar chocolate
leisure | collecting stamps | album letters post countries
"""

HEADINGS = ("Mind these points:", "Conditions:", "Stick to these points:")
