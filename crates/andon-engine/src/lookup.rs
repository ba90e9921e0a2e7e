//! Prompt lookup: drafting what an answer copies from its prompt (Saxena 2023).
//!
//! Where the last tokens of an answer stand in the prompt too, what follows them
//! there is likely to follow here. [`Lookup`] drafts it, the model checks the draft
//! in one step, and [`Acceptance`] keeps the account of whether that pays.

use std::collections::HashMap;
use std::hash::Hash;

/// How drafts are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The fewest tokens that must agree before anything is drafted.
    pub shortest_match: usize,
    /// The most tokens that are compared.
    pub longest_match: usize,
    /// The most tokens of a draft.
    pub most_drafted: usize,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            shortest_match: 2,
            longest_match: 8,
            most_drafted: 8,
        }
    }
}

/// Drafts continuations of one answer out of its prompt.
#[derive(Clone, Debug)]
pub struct Lookup {
    prompt: Vec<u32>,
    reach: Reach,
}

impl Lookup {
    /// Drafts out of this prompt.
    pub fn new(prompt: Vec<u32>, reach: Reach) -> Self {
        Self { prompt, reach }
    }

    /// What followed the longest match of the answer's last tokens in the prompt; of
    /// equally long ones, the last. Empty if nothing matches.
    pub fn draft(&self, answer: &[u32]) -> &[u32] {
        let Reach {
            shortest_match,
            longest_match,
            most_drafted,
        } = self.reach;
        let mut longest = shortest_match.max(1) - 1;
        let mut found = None;
        // Ending before the last token: something must follow.
        for end in (1..self.prompt.len()).rev() {
            let before = self.prompt[..end].iter().rev();
            let agree = before
                .zip(answer.iter().rev())
                .take(longest_match)
                .take_while(|(ours, theirs)| ours == theirs)
                .count();
            if agree > longest {
                (longest, found) = (agree, Some(end));
            }
            if longest == longest_match {
                break;
            }
        }
        found.map_or(&[], |at| {
            let end = self.prompt.len().min(at + most_drafted);
            &self.prompt[at..end]
        })
    }
}

/// How much the newest draft counts in the running share.
const NEWEST: f64 = 0.125;
/// Answers without drafts after which drafting is tried again.
const REST: u32 = 64;
/// Drafts that are made before the share is believed.
const PROBATION: u32 = 8;

/// For each kind of work, the share of drafted tokens that were accepted, and
/// whether to go on drafting. A task whose answers copy nothing soon costs nothing.
#[derive(Clone, Debug)]
pub struct Acceptance<K> {
    pays_from: f64,
    most_kept: usize,
    accounts: HashMap<K, Account>,
    clock: u64,
}

#[derive(Clone, Debug)]
struct Account {
    share: f64,
    /// Drafts that are made whatever the share is.
    on_probation: u32,
    rested: u32,
    used: u64,
}

impl<K: Clone + Eq + Hash> Acceptance<K> {
    /// Drafting pays where at least the share `pays_from` of what is drafted is
    /// accepted. Accounts of the `most_kept` kinds seen last are kept.
    pub fn new(pays_from: f64, most_kept: usize) -> Self {
        Self {
            pays_from,
            most_kept: most_kept.max(1),
            accounts: HashMap::new(),
            clock: 0,
        }
    }

    /// Whether to draft for an answer of this kind. To be asked once an answer: an
    /// answer for which it does not pay counts towards the next try.
    pub fn allows(&mut self, kind: &K) -> bool {
        let pays_from = self.pays_from;
        let account = self.account(kind);
        if account.on_probation > 0 || account.share >= pays_from {
            return true;
        }
        account.rested += 1;
        if account.rested < REST {
            return false;
        }
        account.rested = 0;
        account.on_probation = PROBATION;
        true
    }

    /// Enters what became of a draft.
    pub fn record(&mut self, kind: &K, drafted: usize, accepted: usize) {
        if drafted == 0 {
            return;
        }
        let account = self.account(kind);
        let share = accepted as f64 / drafted as f64;
        account.share += NEWEST * (share - account.share);
        account.on_probation = account.on_probation.saturating_sub(1);
    }

    fn account(&mut self, kind: &K) -> &mut Account {
        self.clock += 1;
        let clock = self.clock;
        if !self.accounts.contains_key(kind) && self.accounts.len() == self.most_kept {
            let oldest = self.accounts.iter().min_by_key(|(_, account)| account.used);
            if let Some(oldest) = oldest.map(|(kind, _)| kind.clone()) {
                self.accounts.remove(&oldest);
            }
        }
        let account = self.accounts.entry(kind.clone()).or_insert(Account {
            share: self.pays_from,
            on_probation: PROBATION,
            rested: 0,
            used: clock,
        });
        account.used = clock;
        account
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(prompt: &[u32], answer: &[u32], expected: &[u32]) {
        let reach = Reach {
            shortest_match: 2,
            longest_match: 3,
            most_drafted: 4,
        };
        let lookup = Lookup::new(prompt.to_vec(), reach);
        assert_eq!(lookup.draft(answer), expected);
    }

    #[test]
    fn what_followed_in_the_prompt_is_drafted() {
        let prompt = [1, 2, 3, 4, 5, 6, 7, 2, 3, 8, 9];
        // The longest match comes first, then the last one.
        check(&prompt, &[1, 2, 3], &[4, 5, 6, 7]);
        check(&prompt, &[7, 2, 3], &[8, 9]);
        check(&prompt, &[0, 2, 3], &[8, 9]);
        check(&prompt, &[2, 3], &[8, 9]);
        // Not enough agrees, or nothing follows.
        check(&prompt, &[0, 3], &[]);
        check(&prompt, &[3], &[]);
        check(&prompt, &[8, 9], &[]);
        check(&prompt, &[], &[]);
        check(&[], &[1, 2], &[]);
    }

    #[test]
    fn drafting_stops_where_it_does_not_pay_and_is_tried_again() {
        let mut acceptance = Acceptance::new(0.5, 8);
        for _ in 0..PROBATION {
            assert!(acceptance.allows(&"summary"));
            acceptance.record(&"summary", 8, 0);
        }
        let pauses = (1..).take_while(|_| !acceptance.allows(&"summary")).count();
        assert_eq!(pauses as u32, REST - 1);
        // It pays now.
        for _ in 0..PROBATION + 8 {
            acceptance.record(&"summary", 8, 8);
        }
        assert!(acceptance.allows(&"summary"));
        assert!(acceptance.accounts["summary"].share > 0.5);
    }

    #[test]
    fn kinds_of_work_have_accounts_of_their_own_and_few_are_kept() {
        let mut acceptance = Acceptance::new(0.5, 2);
        for _ in 0..PROBATION {
            acceptance.record(&1, 8, 0);
            acceptance.record(&2, 8, 8);
        }
        assert!(!acceptance.allows(&1));
        assert!(acceptance.allows(&2));
        assert!(acceptance.allows(&3));
        assert_eq!(acceptance.accounts.len(), 2);
        assert!(!acceptance.accounts.contains_key(&1));
    }
}
