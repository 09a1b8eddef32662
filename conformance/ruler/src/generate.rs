//! Random patterns, and events that have a fair chance to match them.

/// A small generator of random numbers (splitmix64): a seed says everything.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, of_hundred: usize) -> bool {
        self.below(100) < of_hundred
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// What a pattern and its events are made of. Addresses have worlds of their own, in which there are no numbers and only
/// one family: event-ruler compares addresses as hexadecimal digits, and takes the digits of a number or the first digits
/// of a longer address for an address (see the DESIGN.md of the patterns).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum World {
    Plain,
    V4,
    V6,
}

const NAMES: &[&str] = &["a", "b", "c", "a.b", "Ab", "é", "prefix"];
const STRINGS: &[&str] = &[
    "", "x", "X", "xy", "XY", "xyx", "y", "x*y", "x\\\\y", "300", "é", "É", "ß", "SS", "ss", "true",
    "xxyxyy", "𝄞", "1.5", "yx", "ſ", "K",
];
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "1.0",
    "300",
    "300.0",
    "3.0e2",
    "3E+2",
    "0.1",
    "1e-1",
    "1.5",
    "5000000001",
    "1e22",
    "12345678901234567890",
    "123456789012345678901234567890",
    "0.30000000000000004",
    "99.999999",
    "1e400",
    "-300",
];
/// Numbers that a numeric condition may name.
const SIZES: &[&str] = &["-300", "-1", "0", "0.1", "1", "1.5", "99.999999", "300", "3e2", "5000000001"];
const V4: &[&str] =
    &["10.0.0.1", "10.0.0.001", "10.0.0.255", "10.0.1.0", "255.255.255.255", "0.0.0.0", "10.0.0.256"];
const V6: &[&str] =
    &["::", "::1", "0:0:0:0:0:0:0:1", "2001:db8::ff", "2001:DB8:0:0:0:0:0:FF", "2001:db9::", "1::2::3"];
const WILDCARDS: &[&str] = &[
    "",
    "*",
    "x*",
    "*x",
    "x*y",
    "*x*",
    "x*y*",
    "*xy*xy*",
    "x\\\\*y",
    "*\\\\\\\\*",
    "y",
    "*é",
    "x*x",
    "*y*y",
    "xx*yy",
];

/// A pattern as a tree, so that events can be made from it.
pub enum Node {
    Object(Vec<(String, Node)>),
    /// Conditions: each its text, and values that may meet it.
    Leaf(Vec<(String, Vec<String>)>),
    Or(Vec<Node>),
}

/// A pattern without mistakes.
pub fn pattern(dice: &mut Dice, world: World) -> Node {
    object(dice, world, 0, false)
}

fn object(dice: &mut Dice, world: World, depth: usize, in_or: bool) -> Node {
    let count = 1 + dice.below(if depth == 0 { 3 } else { 2 });
    let mut members: Vec<(String, Node)> = Vec::new();
    for _ in 0..count {
        let mut name = dice.pick(NAMES);
        if in_or && name == "prefix" && dice.percent(95) {
            name = "a";
        }
        let again = members.iter().any(|(other, _)| other == name);
        if again && dice.percent(90) {
            continue;
        }
        let below = if depth < 2 && dice.percent(35) {
            object(dice, world, depth + 1, in_or)
        } else {
            leaf(dice, world)
        };
        members.push((name.to_owned(), below));
    }
    if depth < 2 && dice.percent(20) {
        let alternatives = (0..2 + dice.below(2)).map(|_| object(dice, world, depth + 1, true)).collect();
        let at = dice.below(members.len() + 1);
        members.insert(at, ("$or".to_owned(), Node::Or(alternatives)));
    }
    Node::Object(members)
}

fn leaf(dice: &mut Dice, world: World) -> Node {
    let count = 1 + if dice.percent(40) { dice.below(3) } else { 0 };
    Node::Leaf((0..count).map(|_| condition(dice, world)).collect())
}

fn quote(text: &str) -> String {
    format!("\"{text}\"")
}

/// Letters that event-ruler can compare without regard to case: it breaks those outside of the basic plane.
fn letters(dice: &mut Dice) -> &'static str {
    loop {
        let text = dice.pick(STRINGS);
        if !text.contains('𝄞') {
            return text;
        }
    }
}

fn condition(dice: &mut Dice, world: World) -> (String, Vec<String>) {
    let addresses = if world == World::V4 { V4 } else { V6 };
    if world != World::Plain && dice.percent(50) {
        let address = dice.pick(addresses);
        if dice.percent(50) {
            return (quote(address), vec![quote(address)]);
        }
        let block = match world {
            World::V4 => {
                dice.pick(&["10.0.0.0/24", "10.0.0.77/31", "0.0.0.0/0", "10.0.0.255/25", "10.0.0.0/15"])
            }
            _ => dice.pick(&["2001:db8::/32", "::/0", "::/127", "2001:db8::f0/124"]),
        };
        return (
            format!("{{\"cidr\":\"{block}\"}}"),
            addresses.iter().map(|address| quote(address)).collect(),
        );
    }
    let text = dice.pick(STRINGS);
    match dice.below(if world == World::Plain { 17 } else { 13 }) {
        0 | 1 => (quote(text), vec![quote(text)]),
        2 => {
            let word = dice.pick(&["true", "false", "null"]);
            (word.to_owned(), vec![word.to_owned()])
        }
        3 => (format!("{{\"prefix\":\"{text}\"}}"), vec![quote(&format!("{text}y")), quote(text)]),
        4 => (format!("{{\"suffix\":\"{text}\"}}"), vec![quote(&format!("x{text}")), quote(text)]),
        5 => {
            let (text, other) = (letters(dice), letters(dice));
            let form = dice.pick(&["equals-ignore-case", "prefix", "suffix"]);
            let condition = match form {
                "equals-ignore-case" => format!("{{\"{form}\":\"{text}\"}}"),
                form => format!("{{\"{form}\":{{\"equals-ignore-case\":\"{text}\"}}}}"),
            };
            (
                condition,
                vec![quote(text), quote(other), quote(&text.to_uppercase()), quote(&text.to_lowercase())],
            )
        }
        6 => {
            let wildcard = dice.pick(WILDCARDS);
            (
                format!("{{\"wildcard\":\"{wildcard}\"}}"),
                vec![quote(&wildcard.replace('*', "xy").replace('\\', ""))],
            )
        }
        7 => {
            let exists = dice.percent(50);
            (format!("{{\"exists\":{exists}}}"), vec![quote(text), "null".to_owned()])
        }
        8 => {
            let other = dice.pick(STRINGS);
            let list = if dice.percent(50) { quote(text) } else { format!("[\"{text}\",\"{other}\"]") };
            (format!("{{\"anything-but\":{list}}}"), vec![quote(text), "null".to_owned()])
        }
        9 | 10 => {
            let operator = dice.pick(&["prefix", "suffix", "equals-ignore-case", "wildcard"]);
            let operand = |dice: &mut Dice| loop {
                let text = if operator == "wildcard" { dice.pick(WILDCARDS) } else { letters(dice) };
                if !text.is_empty() || !matches!(operator, "prefix" | "suffix") {
                    return quote(text);
                }
            };
            let first = operand(dice);
            let list = if dice.percent(50) { first } else { format!("[{first},{}]", operand(dice)) };
            (format!("{{\"anything-but\":{{\"{operator}\":{list}}}}}"), vec![quote(text), "false".to_owned()])
        }
        11 => (format!("{{\"exactly\":\"{text}\"}}"), vec![quote(text)]),
        12 => (quote(text), vec![quote(text)]),
        13 => {
            let number = dice.pick(NUMBERS);
            (number.to_owned(), vec![number.to_owned()])
        }
        14 => {
            let (first, second) = (dice.pick(SIZES), dice.pick(SIZES));
            let list = if dice.percent(50) { first.to_owned() } else { format!("[{first},{second}]") };
            (format!("{{\"anything-but\":{list}}}"), vec![first.to_owned(), quote(text)])
        }
        _ => {
            let (low, high) = (dice.below(SIZES.len()), dice.below(SIZES.len()));
            let (first, second) = (SIZES[low.min(high)], SIZES[low.max(high)]);
            let condition = match dice.below(3) {
                0 => format!("[\"=\",{first}]"),
                1 => format!("[\"{}\",{first}]", dice.pick(&["<", "<=", ">", ">="])),
                _ => format!(
                    "[\"{}\",{first},\"{}\",{second}]",
                    dice.pick(&[">", ">="]),
                    dice.pick(&["<", "<="])
                ),
            };
            (
                format!("{{\"numeric\":{condition}}}"),
                vec![first.to_owned(), second.to_owned(), "1".to_owned()],
            )
        }
    }
}

/// A pattern's text.
pub fn write(node: &Node) -> String {
    let list = |parts: Vec<String>, open: char, close: char| format!("{open}{}{close}", parts.join(","));
    match node {
        Node::Object(members) => {
            let parts = members.iter().map(|(name, below)| format!("\"{name}\":{}", write(below))).collect();
            list(parts, '{', '}')
        }
        Node::Leaf(conditions) => list(conditions.iter().map(|(text, _)| text.clone()).collect(), '[', ']'),
        Node::Or(alternatives) => list(alternatives.iter().map(write).collect(), '[', ']'),
    }
}

/// The patterns of which one must match for the pattern to match: one alternative of each `$or`, one condition of each array.
/// Nothing if there are more than `limit`.
pub fn expand(node: &Node, limit: usize) -> Option<Vec<String>> {
    let all = expand_object(node, limit)?;
    Some(all.into_iter().map(|members| format!("{{{}}}", members.join(","))).collect())
}

fn expand_object(node: &Node, limit: usize) -> Option<Vec<Vec<String>>> {
    let Node::Object(members) = node else { return None };
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    for (name, below) in members {
        let choices: Vec<Vec<String>> = match below {
            Node::Object(_) => expand_object(below, limit)?
                .into_iter()
                .map(|inner| vec![format!("\"{name}\":{{{}}}", inner.join(","))])
                .collect(),
            Node::Leaf(conditions) => {
                conditions.iter().map(|(text, _)| vec![format!("\"{name}\":[{text}]")]).collect()
            }
            Node::Or(alternatives) => {
                let mut choices = Vec::new();
                for alternative in alternatives {
                    choices.extend(expand_object(alternative, limit)?);
                }
                choices
            }
        };
        if all.len() * choices.len() > limit {
            return None;
        }
        all = all
            .iter()
            .flat_map(|chosen| choices.iter().map(|choice| [&chosen[..], &choice[..]].concat()))
            .collect();
    }
    Some(all)
}

/// Mistakes that the grammar or JSON may refuse, put into a pattern's text.
pub fn spoil(dice: &mut Dice, text: &str) -> String {
    const PIECES: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        "\"",
        ",",
        ":",
        "1",
        "-",
        "0",
        ".",
        "e",
        "true",
        "tru",
        "null",
        "nul",
        "x",
        " ",
        "\n",
        "\r\n",
        "\t",
        "\\",
        "\\u00e9",
        "\\ud834\\udd1e",
        "\\q",
        "[]",
        "{}",
        "\"x\"",
        "[\"x\"]",
        "{\"a\":[1]}",
        "01",
        "1.",
        "-x",
        "1e",
        "é",
        "\u{1}",
        "/",
        "\"prefix\"",
        "\"numeric\"",
        "\"anything-but\"",
        "\"cidr\"",
        "\"wildcard\"",
        "\"exists\"",
        "\"equals-ignore-case\"",
        "\"<\"",
        "\"=\"",
        "\">\"",
        "\"10.0.0.0/8\"",
        "\"10.0.0.0\"",
        "\"$or\":",
        "\"**\"",
        "1e999",
        "12345678901234567890",
        "{\"suffix\":\"x\"}",
        "{\"numeric\":[]}",
        "{\"numeric\":[\">\"",
        "NaN",
        "Infinity",
        "'",
        "#",
    ];
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..1 + dice.below(2) {
        let at = dice.below(chars.len() + 1);
        match dice.below(4) {
            0 if at < chars.len() => {
                chars.remove(at);
            }
            1 if at < chars.len() => chars.truncate(at),
            2 if at < chars.len() => {
                // One token for another.
                let end = (at + 1 + dice.below(4)).min(chars.len());
                chars.splice(at..end, dice.pick(PIECES).chars());
            }
            _ => {
                chars.splice(at..at, dice.pick(PIECES).chars());
            }
        }
    }
    chars.into_iter().collect()
}

/// An event, made from a pattern or at random.
pub fn event(dice: &mut Dice, pattern: &Node, world: World) -> String {
    let mut members = Vec::new();
    if dice.percent(75) {
        meet(dice, pattern, world, &mut members);
    }
    if members.is_empty() || dice.percent(40) {
        for _ in 0..1 + dice.below(2) {
            members.push(format!("\"{}\":{}", dice.pick(NAMES), value(dice, world, 0)));
        }
    }
    format!("{{{}}}", members.join(","))
}

/// Members that may meet an object of a pattern.
fn meet(dice: &mut Dice, node: &Node, world: World, members: &mut Vec<String>) {
    let Node::Object(wanted) = node else { return };
    for (name, below) in wanted {
        if dice.percent(8) {
            continue;
        }
        match below {
            Node::Or(alternatives) => {
                let chosen = dice.below(alternatives.len());
                meet(dice, &alternatives[chosen], world, members);
            }
            Node::Object(_) => {
                let mut inner = Vec::new();
                meet(dice, below, world, &mut inner);
                let mut object = format!("{{{}}}", inner.join(","));
                if dice.percent(35) {
                    // In an array, perhaps cut in two.
                    let cut = dice.below(inner.len() + 1);
                    object = match dice.below(4) {
                        0 => format!("[{{{}}},{{{}}}]", inner[..cut].join(","), inner[cut..].join(",")),
                        1 => format!("[[{object}],{}]", value(dice, world, 2)),
                        _ => format!("[{},{object}]", value(dice, world, 1)),
                    };
                }
                members.push(format!("\"{name}\":{object}"));
            }
            Node::Leaf(conditions) => {
                let chosen = dice.below(conditions.len());
                let samples = &conditions[chosen].1;
                let mut text = samples[dice.below(samples.len())].clone();
                if dice.percent(20) {
                    text = match dice.below(3) {
                        0 => "[]".to_owned(),
                        1 => format!("[[{text}],{}]", value(dice, world, 2)),
                        _ => format!("[{},{text}]", value(dice, world, 2)),
                    };
                }
                members.push(format!("\"{name}\":{text}"));
            }
        }
    }
}

fn value(dice: &mut Dice, world: World, depth: usize) -> String {
    if depth < 3 && dice.percent(40) {
        let count = dice.below(4);
        if dice.percent(50) {
            let parts: Vec<String> = (0..count).map(|_| value(dice, world, depth + 1)).collect();
            return format!("[{}]", parts.join(","));
        }
        let parts: Vec<String> = (0..count)
            .map(|_| format!("\"{}\":{}", dice.pick(NAMES), value(dice, world, depth + 1)))
            .collect();
        return format!("{{{}}}", parts.join(","));
    }
    match dice.below(6) {
        0 => dice.pick(&["true", "false", "null"]).to_owned(),
        1 | 2 => match world {
            World::Plain => dice.pick(NUMBERS).to_owned(),
            World::V4 => quote(dice.pick(V4)),
            World::V6 => quote(dice.pick(V6)),
        },
        _ => quote(dice.pick(STRINGS)),
    }
}
