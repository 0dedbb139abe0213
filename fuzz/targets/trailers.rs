//! Commit messages: whatever people write, a line yields at most one trailer, and what is written again reads the same.

use tagalong::plan::forced::Forced;
use tagalong::plan::order_record::RecordedOrder;
use tagalong::plan::trailer::{Hold, Target, Trailers};

pub fn run(bytes: &[u8]) {
    let message = String::from_utf8_lossy(bytes);
    let trailers = Trailers::read(&message);
    let Trailers { moves, orders, rollbacks, holds, resumes, held, forced, stage_orders, .. } = &trailers;
    let found = moves.len() + orders.len() + rollbacks.len() + holds.len() + resumes.len() + held.len();
    let found = found + forced.len() + stage_orders.len();
    assert!(found <= message.matches("Tagalong-").count());
    for target in holds.iter().chain(resumes) {
        assert_eq!(Target::read(&target.to_string()).as_ref(), Some(target));
    }
    for recorded in moves {
        let again = Trailers::read(&format!("Tagalong-Update: {}", recorded.trailer())).moves;
        assert_eq!(again.first(), Some(recorded));
    }
    for order in orders {
        assert_eq!(RecordedOrder::read(&order.trailer()).as_ref(), Some(order));
    }
    for record in forced {
        assert_eq!(Forced::read(&record.to_string()).as_ref(), Some(record));
    }
    for order in stage_orders {
        assert_eq!(&Trailers::read(&order.trailer()).stage_orders, std::slice::from_ref(order));
    }
    for hold in held {
        let again = read_again(hold);
        assert_eq!((&again.target, again.since), (&hold.target, hold.since));
        // The first time, the texts are made one line of limited length; then nothing changes any more.
        assert_eq!(read_again(&again), again);
    }
    // No text of a hold can end its line or be taken for another trailer.
    if let Some(hold) = held.first() {
        let hold = Hold { by: message.to_string(), why: message.to_string(), ..hold.clone() };
        assert_eq!(read_again(&hold).target, hold.target);
    }
}

/// Repeats a hold in a message and reads it from there.
fn read_again(hold: &Hold) -> Hold {
    let message = format!("subject\n\nTagalong-Held: {}\n", hold.trailer());
    let mut trailers = Trailers::read(&message);
    let again = trailers.held.pop().unwrap_or_else(|| panic!("{hold:?} is not read again: {message}"));
    assert_eq!(trailers, Trailers::default(), "{message}");
    again
}
