"""What the gate split asks for, before any constraint."""

INSTRUCTIONS = (
    "Talk about {topic}.",
    "Put {topic} into simple words.",
    "Compose a short paragraph on {topic}.",
    "Offer some advice on {topic}.",
    "Present one surprising thing about {topic}.",
    "Write a short letter to a cousin about {topic}.",
    "Start a mystery story around {topic}.",
    "Say how {topic} and {other} are alike.",
    "Write a brief blog post on {topic}.",
    "Mention some problems that come with {topic}.",
    "Write a short slogan and a line of text for {topic}.",
    "Explain to a tourist what locals think of {topic}.",
    "Write a short poster text about {topic}.",
    "Reply to a reader who asked about {topic}.",
    "Imagine a future with {topic} and sketch it.",
    "Write a short invitation to a talk on {topic}.",
    "Sum up the main idea behind {topic}.",
    "Tell a child how to start with {topic}.",
    "What do experts say about {topic}?",
    "How do people usually feel about {topic}?",
)

QUESTIONS = (
    "Do you consider {topic} important?",
    "Might {topic} disappear one day?",
    "Can a child learn a lot from {topic}?",
    "Are there good books about {topic}?",
    "Did people a hundred years ago value {topic}?",
)

TOPICS = """
health | a balanced breakfast | fruit eggs morning energy
health | sunburn | skin sun cream red
health | taking the stairs | legs climb floor exercise
health | headaches | pain rest doctor water
home | scented candles | wax flame smell room
home | painting a bedroom wall | brush color paint room
home | a cluttered garage | boxes car tools shelf
home | kitchen knives | sharp cut blade cook
food | strawberry jam | fruit sugar jar toast
food | brown rice | grain cook bowl water
food | dark chocolate | cocoa bitter sweet taste
food | vegetable curry | spice rice pot sauce
travel | hostel rooms | bed travelers sleep cheap
travel | desert tours | sand camel hot sun
travel | learning phrases before a trip | language words speak people
travel | long flights | plane seat sleep hours
work | clear deadlines | date project finish plan
work | a difficult customer | listen calm complaint service
work | volunteering | help people time community
work | changing careers | job learn skills new
science | static electricity | charge hair spark balloon
science | black holes | star light gravity space
science | yeast | bread dough bubbles sugar
science | ocean tides | moon water beach high
nature | wild mushrooms | forest poison cap soil
nature | hummingbirds | wings flower nectar tiny
nature | coral reefs | fish sea colorful ocean
nature | morning fog | gray air mist see
technology | online maps | route phone street find
technology | robot vacuums | floor clean dust battery
technology | digital cameras | picture photo lens memory
technology | spam messages | email inbox delete junk
history | Viking voyages | ships sea sailors north
history | old coins | gold silver king trade
history | the invention of the wheel | cart round move travel
history | pocket watches | time chain clock gold
sport | long-distance cycling | bike road legs ride
sport | basketball courts | ball hoop team jump
sport | indoor climbing | wall rope hands strong
sport | rowing teams | boat water oars river
money | bank loans | pay interest borrow money
money | garage sales | buy cheap old price
money | comparing prices | store cheap buy cost
money | planning a wedding budget | cost guests money list
arts | comic books | pictures hero read story
arts | choir singing | voice song music together
arts | stone sculptures | carve statue artist museum
arts | silent movies | film actor music screen
family | sibling quarrels | brother sister argue share
family | phone calls with parents | talk mother voice news
family | pet cats | purr fur sleep milk
family | family photo albums | pictures memories page old
school | multiplication tables | numbers times learn math
school | school plays | stage costume lines students
school | lunch breaks | eat friends food yard
school | reading aloud | voice book words listen
city | rush hour | traffic cars people late
city | rooftop gardens | plants city view flowers
city | old bridges | river stone cross water
city | corner bakeries | bread morning smell cake
leisure | kite flying | wind string sky field
leisure | card tricks | magic deck hands audience
leisure | gardening on a balcony | pots plants flowers sun
leisure | bird watching | birds binoculars quiet trees
"""

HEADINGS = ("What matters to me:", "Observe the following:", "My wishes:")
