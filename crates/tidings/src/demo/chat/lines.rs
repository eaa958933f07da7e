//! What the demo people talk about.

/// A short talk: who says what, where 0 is whoever begins it.
type Thread = &'static [(usize, &'static str)];

pub(super) const THREADS: [Thread; 24] = [
    &[
        (0, "Good morning! Coffee is on, the good beans this time."),
        (1, "You are my favourite person today."),
        (2, "Save me a cup, I am still on the tram."),
        (0, "Ten minutes. After that I promise nothing."),
    ],
    &[
        (0, "Did anybody else see the sunset yesterday?"),
        (1, "The whole sky was pink over here."),
        (0, "I took about forty photos and none of them look like it."),
        (2, "They never do. Best kind of sky."),
    ],
    &[
        (0, "Looking for a book for a long train ride. Any ideas?"),
        (1, "Piranesi. Short, odd, lovely."),
        (2, "Or anything by Ursula Le Guin."),
        (0, "Piranesi it is, then Le Guin on the way back."),
    ],
    &[
        (0, "The sourdough finally worked!"),
        (1, "After how many tries?"),
        (0, "We do not talk about the tries."),
        (2, "Pictures, or it is still flat."),
    ],
    &[
        (0, "Match night on Thursday, who is in?"),
        (1, "In."),
        (2, "In, and I bring the snacks."),
        (3, "Only if I may pick the first game."),
        (0, "Deal, as long as it ends before midnight."),
    ],
    &[
        (0, "My cat has learned to open the fridge."),
        (1, "Congratulations to the cat."),
        (2, "What does it take out?"),
        (0, "Nothing. It just looks inside and leaves the door open, like everyone else."),
    ],
    &[
        (0, "Is it raining where you are?"),
        (1, "Sideways."),
        (2, "Bright sun here. Sorry."),
        (1, "You are not sorry at all."),
    ],
    &[
        (0, "Our new dashboard went live this morning."),
        (1, "I had it open, the numbers really do move by themselves."),
        (0, "That is the idea."),
        (2, "It survived my tunnel on the way home, too. Nothing missing afterwards."),
    ],
    &[
        (0, "Quick one: tea with milk first or milk last?"),
        (1, "Last."),
        (2, "First."),
        (3, "This is how rooms get split in two."),
    ],
    &[
        (0, "I can see the comet from my balcony!"),
        (1, "Which direction?"),
        (0, "West, a hand above the roofs, about an hour after sunset."),
        (1, "Found it. It is tiny and wonderful."),
    ],
    &[
        (0, "Does anyone have a ladder I could borrow on Saturday?"),
        (1, "Yes, three metres. Enough?"),
        (0, "Perfect. I pay in plum cake."),
        (1, "Then you may keep it until Sunday."),
    ],
    &[
        (0, "Half marathon done. One hour fifty-two!"),
        (1, "Bravo! That is six minutes off, is it not?"),
        (0, "Seven. The last hill was cruel."),
        (2, "Feet up and soup for you tonight."),
    ],
    &[
        (0, "What is everybody listening to today?"),
        (1, "Nina Simone, all morning."),
        (2, "A podcast about lighthouses."),
        (0, "Send me the lighthouse one, please."),
    ],
    &[
        (0, "The tomatoes on the roof are ripe."),
        (1, "Already? Mine are still green and offended."),
        (0, "Come by and take a bag, there are far too many."),
        (2, "On my way before you change your mind."),
    ],
    &[
        (0, "I think I broke the printer again."),
        (1, "Have you looked at it sternly?"),
        (0, "I have. It printed one page out of fear."),
    ],
    &[
        (0, "Who has the key to the boat shed?"),
        (1, "Me. I am there from four."),
        (0, "Great, we want to be out before the wind turns."),
        (2, "Forecast says south-west, three, until seven."),
    ],
    &[
        (0, "Can I get a second pair of eyes on the poster?"),
        (1, "Looking now. The date could be bigger."),
        (2, "And I would lose the third colour."),
        (0, "Both done. Much calmer, thank you."),
    ],
    &[
        (0, "My daughter asked why the sea does not overflow."),
        (1, "What did you say?"),
        (0, "That it is very well organised."),
        (2, "I am going to use that."),
    ],
    &[
        (0, "Lunch at the noodle place?"),
        (1, "Yes, at half past twelve."),
        (2, "Order me the one with peanuts, I may be late."),
        (3, "I am already standing in the queue. It is short!"),
    ],
    &[
        (0, "I moved my knight and now everything is worse."),
        (1, "Everything, or just the queen's side?"),
        (0, "Resigning with dignity. Another round?"),
        (1, "Always."),
    ],
    &[
        (0, "The library is open until ten this week."),
        (1, "Best news of the day."),
        (2, "See you at the big table by the window."),
    ],
    &[
        (0, "I wrote to you all from three devices and read it on none of them."),
        (1, "It came once here, in case you wondered."),
        (2, "Once here as well."),
        (0, "Then all is well with the world."),
    ],
    &[
        (0, "Small victory: inbox at zero."),
        (1, "I did not know it went that low."),
        (2, "I could send you something."),
        (0, "Please do not."),
    ],
    &[
        (0, "Last train leaves at eleven fifty, do not miss it."),
        (1, "I have missed it twice this month."),
        (0, "Alarm set for you. You are welcome."),
        (1, "What would I do without this room."),
    ],
];
