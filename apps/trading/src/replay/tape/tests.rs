use super::*;

const TAPE: &str = "# Two days.\nat,symbol,price,volume\n2010-03-01,ACME,28.8,5000\r\n\n2010-03-01T00:00:10Z,ACME,28.81,\n\
                    2010-03-02,ZED,7,0\n";

fn instrument(symbol: &str, tick: &str, most: &str) -> Instrument {
    let dec = |text: &str| text.parse().unwrap();
    Instrument {
        symbol: symbol.into(),
        tick_size: dec(tick),
        lot_size: Dec::ONE,
        min_quantity: Dec::ONE,
        max_quantity: Dec::ONE,
        max_position: Dec::ONE,
        max_price: dec(most),
    }
}

#[test]
fn a_file_is_read_and_given_as_fast_as_wanted() {
    let tape = Tape::parse(TAPE).unwrap();
    assert_eq!((tape.len(), tape.symbols()), (3, &["ACME".to_owned(), "ZED".to_owned()][..]));
    assert_eq!(Tape::parse(&format!("\u{feff}{TAPE}")).unwrap().len(), 3, "as spreadsheets save it");
    assert_eq!(tape.after_ms(1, 1), Some(10_000));
    assert_eq!(tape.after_ms(2, 86_400), Some(1_000));
    let both = [instrument("ACME", "0.01", "100"), instrument("ZED", "1", "10")];
    let due = tape.due((0, 1_000), 9, &both, 10);
    assert_eq!((due.until, due.prices.len()), (1, 1));
    let due = tape.due((0, 1_000), 10, &both, 1);
    assert_eq!((due.until, due.prices.len()), (1, 1), "no more than are wanted");
    // What the room does not have is done with and not given.
    let due = tape.due((1, 1_000), 86_400, &both[1..], 10);
    let zed = Input::Price { symbol: "ZED".into(), price: Dec::whole(7), volume: Some(Dec::ZERO) };
    assert_eq!((due.until, due.prices), (3, vec![(3, 86_400, zed)]));
    assert_eq!(tape.due((3, 1), u64::MAX, &both, 10), Due { prices: Vec::new(), until: 3 });
}

#[test]
fn what_is_wrong_is_named_by_its_line() {
    let head = "at,symbol,price,volume\n";
    for (text, says) in [
        ("", "expected a line at,symbol"),
        (head, "expected at least one price"),
        ("price\n1\n", "line 1: expected at,symbol,price,volume"),
        ("at,symbol,price\n2010-03-01,ACME,1,5\n", "line 2: expected 3 fields, found 4"),
        ("at,symbol,price\n\n2010-03-01,ACME\n", "line 3: expected three fields"),
        ("at,symbol,price\n2010-02-30,ACME,1\n", "line 2: at: expected a time"),
        ("at,symbol,price\n2010-03-01,,1\n", "line 2: symbol: expected one"),
        ("at,symbol,price\n2010-03-02,A,1\n2010-03-01,A,1\n", "line 3: at: is earlier"),
        ("at,symbol,price\n2010-03-01,A,1e5\n", "line 2: price: "),
        ("at,symbol,price\n2010-03-01,A,0\n", "line 2: price: expected more than 0"),
        ("at,symbol,price,volume\n2010-03-01,A,1,-1\n", "line 2: volume: expected 0 or more"),
    ] {
        let problem = Tape::parse(text).unwrap_err();
        assert!(problem.starts_with(says), "{text}: {problem}");
    }
    let long = format!("{head}{}", "#".repeat(BYTES_MOST));
    assert!(Tape::parse(&long).unwrap_err().starts_with("expected at most"));
}

#[test]
fn a_file_has_to_go_with_the_room() {
    let tape = Tape::parse(TAPE).unwrap();
    assert_eq!(tape.fits(&[instrument("ACME", "0.01", "100")]), Ok(()));
    let problem = tape.fits(&[instrument("ACME", "0.1", "100")]).unwrap_err();
    assert!(problem.starts_with("line 5: ACME: price: expected ticks of 0.1"), "{problem}");
    let problem = tape.fits(&[instrument("ACME", "0.01", "28.8")]).unwrap_err();
    assert!(problem.starts_with("line 5: "), "{problem}");
    assert_eq!(
        tape.fits(&[instrument("OTHER", "1", "1")]).unwrap_err(),
        "the room has no instrument of this file"
    );
}

#[test]
fn the_prices_that_come_with_the_app_can_be_played() {
    let tape = Tape::parse(super::super::SAMPLE).unwrap();
    assert_eq!((tape.len(), tape.symbols().len()), (683, 6));
    let all: Vec<_> = tape.symbols().iter().map(|symbol| instrument(symbol, "0.01", "10000")).collect();
    assert_eq!(tape.fits(&all), Ok(()));
}
