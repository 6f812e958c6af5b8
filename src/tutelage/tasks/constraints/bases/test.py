"""What the test split asks for, before any constraint."""

INSTRUCTIONS = (
    "Characterize {topic} for me.",
    "Discuss {topic} in brief.",
    "I need a short text on {topic}.",
    "Guide someone who is new to {topic}.",
    "Please write a little piece about {topic}.",
    "Compose a brief email to a teacher concerning {topic}.",
    "Begin a bedtime tale that features {topic}.",
    "Weigh {topic} against {other}.",
    "Outline the benefits of {topic}.",
    "Warn a friend about a pitfall of {topic}.",
    "Write a newspaper brief on {topic}.",
    "Give your honest opinion on {topic}.",
    "Provide a quick fact about {topic} and why it matters.",
    "Write a short dialogue about {topic}.",
    "Draft a brief announcement for a club devoted to {topic}.",
    "Paint a picture of {topic} with words.",
    "Write a short report on {topic} for your manager.",
    "Comment on {topic} as a local guide would.",
    "Pitch {topic} to a busy stranger.",
    "What would you tell your younger self about {topic}?",
    "Why do some people like {topic}?",
)

QUESTIONS = (
    "Will people still talk about {topic} in fifty years?",
    "May one call {topic} a part of everyday life?",
    "Would a quiet person enjoy {topic}?",
    "Is it wise to spend money on {topic}?",
    "Can strangers become friends through {topic}?",
)

TOPICS = """
health | seasonal allergies | pollen sneeze nose spring
health | afternoon naps | sleep rest tired bed
health | first aid kits | bandage wound help emergency
health | walking barefoot | feet ground skin grass
home | a creaky staircase | steps wood noise night
home | hanging curtains | window rod fabric light
home | fireplaces | wood warm flames smoke
home | mice in the kitchen | trap cheese food hole
food | lemon cake | sugar flour sour slice
food | roasted chestnuts | winter street warm shell
food | pickled cucumbers | jar vinegar salt sour
food | iced coffee | cold milk glass drink
travel | border crossings | passport country guard wait
travel | hot-air balloons | sky basket fly wind
travel | guided city tours | guide street history group
travel | souvenirs | gift memory shop trip
work | business lunches | client restaurant talk meal
work | typing quickly | keyboard fingers words practice
work | retirement | work age free pension
work | presentations in front of a crowd | audience slides speak nervous
science | earthquakes | ground shake plates damage
science | the human heart | blood beat pump chest
science | mirrors | glass light reflection face
science | salt crystals | water grow sea cube
nature | hedgehogs | spines night garden animal
nature | bamboo | grass tall panda green
nature | waterfalls | river rocks fall water
nature | mountain goats | cliff climb horns rocks
technology | wireless headphones | music sound battery ears
technology | drones | fly camera sky propeller
technology | bar codes | scan price lines product
technology | elevators | floor button building cable
history | the Great Wall of China | stone long emperor soldiers
history | pirates | ship treasure sea captain
history | letters sent by pigeon | bird message fly home
history | sundials | shadow time sun hour
sport | marathon training | run miles shoes weeks
sport | archery | bow arrow target aim
sport | surfing lessons | wave board sea balance
sport | gymnastics | jump balance floor flexible
money | paying in cash | coins notes wallet bills
money | insurance | accident pay risk policy
money | tipping in restaurants | waiter money service bill
money | haggling at a bazaar | price seller buy market
arts | origami | paper fold crane shape
arts | opera | sing stage voice music
arts | graffiti | wall paint spray city
arts | puppet shows | strings stage children hands
family | stepparents | child love home new
family | baby names | parents choose child sound
family | family reunions | cousins aunts food talk
family | adopting an older dog | shelter pet walk love
school | history lessons | past teacher dates learn
school | school uniforms | clothes same shirt students
school | exam nerves | test study calm fear
school | learning a second alphabet | letters read write language
city | subway maps | lines train station colors
city | noisy neighbors | sound night wall sleep
city | food trucks | street eat line cook
city | parking garages | car level space pay
leisure | model railways | train track small station
leisure | treasure hunts | clue map find hidden
leisure | karaoke nights | sing song microphone friends
leisure | flea markets | old stalls buy bargain
"""

HEADINGS = ("Some conditions apply:", "Keep in mind:", "Make sure of this:")
