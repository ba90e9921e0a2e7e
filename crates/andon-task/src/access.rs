//! Who may do what: roles, and what a key is held to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What the holder of a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads: runs, records, tasks, figures.
    Viewer,
    /// Also sends notes, asks models, and says what is right.
    Operator,
    /// Also decides what serves.
    Engineer,
    /// Also reads the audit log.
    Admin,
    /// A program of the line: sends records and runs tasks, and reads none of those of
    /// others.
    Machine,
}

/// A word that is no role.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no role: choose viewer, operator, engineer, admin or machine")]
pub struct UnknownRole(String);

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Viewer,
        Self::Operator,
        Self::Engineer,
        Self::Admin,
        Self::Machine,
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Engineer => "engineer",
            Self::Admin => "admin",
            Self::Machine => "machine",
        }
    }

    /// Whether this role may do what `least` may. Roles of people include those before
    /// them; a machine's includes nothing else and is included by nothing.
    pub fn includes(self, least: Self) -> bool {
        let rank = |role| match role {
            Self::Viewer => Some(0),
            Self::Operator => Some(1),
            Self::Engineer => Some(2),
            Self::Admin => Some(3),
            Self::Machine => None,
        };
        match (rank(self), rank(least)) {
            (Some(own), Some(least)) => own >= least,
            _ => self == least,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(word: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == word)
            .ok_or_else(|| UnknownRole(word.chars().take(40).collect()))
    }
}

/// What a key is held to, on top of its role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The runs of one task.
    Task(String),
}

/// A text that is no scope.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no scope: write task:NAME")]
pub struct UnknownScope(String);

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Task(task) = self;
        write!(f, "task:{task}")
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        text.strip_prefix("task:")
            .filter(|task| !task.is_empty())
            .map(|task| Self::Task(task.to_owned()))
            .ok_or_else(|| UnknownScope(text.chars().take(80).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Role, Scope};

    #[test]
    fn roles_of_people_include_those_before_and_no_machine() {
        let check = |role: Role, least: &[Role]| {
            let included: Vec<Role> = Role::ALL
                .into_iter()
                .filter(|&least| role.includes(least))
                .collect();
            assert_eq!(included, least, "{role}");
        };
        use Role::{Admin, Engineer, Machine, Operator, Viewer};
        check(Viewer, &[Viewer]);
        check(Operator, &[Viewer, Operator]);
        check(Engineer, &[Viewer, Operator, Engineer]);
        check(Admin, &[Viewer, Operator, Engineer, Admin]);
        check(Machine, &[Machine]);
    }

    #[test]
    fn words_are_read_back() {
        for role in Role::ALL {
            assert_eq!(role.name().parse::<Role>().expect("a role"), role);
        }
        let scope: Scope = "task:failure-code".parse().expect("a scope");
        assert_eq!(scope.to_string(), "task:failure-code");
        for wrong in ["root", "", "Admin"] {
            assert!(wrong.parse::<Role>().is_err(), "{wrong}");
        }
        for wrong in ["task:", "failure-code", ""] {
            assert!(wrong.parse::<Scope>().is_err(), "{wrong}");
        }
    }
}
