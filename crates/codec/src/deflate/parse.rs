//! Text as literals and matches, with one position of lookahead.

use super::block::Block;
use super::finder::{Finder, Match, NONE, Search};
use super::split;
use super::text::View;

/// How hard a level tries: once, and at the position after a match.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    first: Search,
    second: Search,
}

impl Effort {
    pub(super) fn of(level: u32) -> Self {
        let (depth, enough) = match level {
            0 | 1 => (2, 16),
            2 => (3, 16),
            3 => (4, 24),
            4 => (6, 32),
            5 => (10, 64),
            6 => (20, 96),
            7 => (50, 160),
            8 => (150, 258),
            _ => (500, 258),
        };
        Self { first: Search { depth, enough }, second: Search { depth: depth / 2, enough } }
    }
}

/// Fills a block with the text from `begin` on, and gives where it ends.
pub(super) fn parse(
    effort: Effort,
    text: View<'_>,
    begin: usize,
    finder: &mut Finder,
    block: &mut Block,
) -> usize {
    block.clear();
    let mut at = begin;
    while at < text.end && !block.is_full() && at - begin < split::MOST {
        let mut found = finder.find(text, at, NONE, effort.first);
        if found.distance == 0 {
            block.literal(text.look(at)[0]);
            at += 1;
        } else {
            let mut known = at + 1;
            while found.length < effort.first.enough && at + 1 < text.end {
                let next = finder.find(text, at + 1, NONE.max(found.length - 1), effort.second);
                known = at + 2;
                if !is_better(next, found) {
                    break;
                }
                block.literal(text.look(at)[0]);
                at += 1;
                found = next;
            }
            block.matched(found);
            at += found.length;
            for inside in known..at {
                finder.insert(text, inside);
            }
        }
        if block.split.is_due(at - begin, text.end - at) {
            break;
        }
    }
    at
}

/// Whether a match one position later is worth the literal before it: a byte more pays for four bits of distance.
#[inline]
fn is_better(next: Match, found: Match) -> bool {
    if next.distance == 0 {
        return false;
    }
    let bits = |found: Match| i64::from(found.distance.ilog2());
    4 * (next.length as i64 - found.length as i64) + bits(found) - bits(next) > 2
}
