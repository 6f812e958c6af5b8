"""What the training split asks for, before any constraint."""

INSTRUCTIONS = (
    "Describe {topic}.",
    "Explain {topic} to a ten-year-old.",
    "Write a short note about {topic}.",
    "Give a beginner some advice about {topic}.",
    "Tell me something useful about {topic}.",
    "Write a short email to a friend about {topic}.",
    "Write the opening of a story about {topic}.",
    "Briefly compare {topic} with {other}.",
    "Summarize what most people know about {topic}.",
    "List a few reasons to care about {topic}.",
    "Write a short advertisement that mentions {topic}.",
    "Share a small tip about {topic}.",
    "Write a diary entry about {topic}.",
    "Introduce {topic} to someone who is new to the subject.",
    "Write a short speech in praise of {topic}.",
    "Explain what can go wrong with {topic}.",
    "Write a brief message to a colleague about {topic}.",
    "Tell a short memory that has to do with {topic}.",
    "Write a short product idea inspired by {topic}.",
    "What should a visitor know about {topic}?",
    "What makes {topic} interesting?",
)

QUESTIONS = (
    "Would most people miss {topic}?",
    "Should schools teach children about {topic}?",
    "Can {topic} make an ordinary day better?",
    "Is it easy to find out more about {topic}?",
    "Would you recommend {topic} to a friend?",
)

TOPICS = """
health | a good night's sleep | rest bed tired dream
health | washing hands | soap water germs clean
health | regular stretching | muscles body relax stiff
health | healthy teeth | brush dentist gums smile
home | houseplants | leaves water light pot
home | a tidy desk | work order papers space
home | doing the laundry | clothes wash dry fold
home | a squeaky door | hinge oil noise open
food | green tea | leaves cup drink hot
food | fresh bread | flour oven crust bake
food | homemade soup | pot vegetables warm bowl
food | ripe tomatoes | red salad garden sauce
travel | train journeys | window station ticket seat
travel | packing a suitcase | clothes bag trip fold
travel | small seaside towns | beach harbor boats sea
travel | getting lost abroad | map street stranger help
work | job interviews | questions company prepare answer
work | team meetings | agenda people talk time
work | working from home | desk computer quiet office
work | asking for help at work | colleague question boss learn
science | rainbows | light rain colors sun
science | the moon | earth night sky light
science | magnets | metal iron pull poles
science | volcanoes | lava mountain erupt rock
nature | honeybees | hive flowers pollen honey
nature | autumn forests | leaves trees colors fall
nature | sea turtles | ocean shell eggs beach
nature | thunderstorms | lightning rain clouds sky
technology | strong passwords | account secret letters safe
technology | electric cars | battery charge drive electricity
technology | video calls | camera screen talk friends
technology | old radios | music sound station voice
history | medieval castles | walls king stone towers
history | the first printing presses | books paper ink read
history | ancient Egypt | pyramids pharaoh river sand
history | lighthouses | ships sea light coast
sport | learning to swim | water pool breathe float
sport | morning runs | shoes breath street legs
sport | table tennis | ball paddle fast game
sport | hiking in the mountains | trail boots path view
money | saving a little each month | bank budget spend income
money | shopping lists | store buy food paper
money | secondhand furniture | chair cheap table shop
money | a first paycheck | earn job spend bank
arts | watercolor painting | brush paper color water
arts | folk music | song guitar dance tradition
arts | writing poems | words rhyme feelings line
arts | street photography | camera people picture light
family | grandparents | stories love visit old
family | family dinners | table food talk together
family | a new puppy | dog play train walk
family | birthday parties | cake gifts friends candles
school | learning a new word | language meaning read remember
school | spelling mistakes | letters write correct teacher
school | science fairs | project experiment students idea
school | taking notes in class | write paper teacher remember
city | public libraries | books read quiet people
city | crowded buses | seat driver people stop
city | farmers' markets | fruit vegetables fresh stalls
city | bicycle lanes | bike cars safe road
leisure | jigsaw puzzles | pieces picture table patience
leisure | stargazing | stars night sky telescope
leisure | board games | dice friends rules play
leisure | knitting | yarn wool needles scarf
"""

HEADINGS = ("Rules:", "Please keep to the following:", "Requirements:", "Follow these rules:")
