//! Standings by named rules. The same room gives the same list wherever it is computed.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::decimal::{Dec, Rounding};

/// What members are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "TradeMeasure")]
pub enum Measure {
    /// Profit, in cash.
    Absolute,
    /// Profit as a part of the starting cash: 0.05 is five per cent.
    #[default]
    Roi,
    /// The same of an average moment since the start, so that early profit counts longer.
    TimeWeighted,
}

/// How members of a room are ranked. Who does not qualify stands behind everybody who does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "TradeRanking")]
pub struct Ranking {
    /// What they are compared by.
    #[serde(default)]
    pub measure: Measure,
    /// The largest part of a peak that one may ever have lost: 0.2 is a fifth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_drawdown: Option<Dec>,
    /// How many orders have to be filled, at least in part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_trades: Option<u64>,
}

impl Ranking {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        match self.max_drawdown {
            Some(cap) if cap < Dec::ZERO || cap > Dec::ONE => {
                Err(format!("maxDrawdown: expected 0 to 1, found {cap}"))
            }
            _ => Ok(()),
        }
    }

    /// What an account is compared by, rounded to the nearest hundred-millionth: ties are ties of what is shown.
    pub fn value(&self, account: &Account, starting: Dec, at_ms: u64) -> Dec {
        let part = |profit: Dec| profit.share(Dec::ONE, starting, Rounding::Nearest);
        match self.measure {
            Measure::Absolute => account.equity - starting,
            Measure::Roi => part(account.equity - starting),
            Measure::TimeWeighted => part(account.average_equity(at_ms) - starting),
        }
    }

    /// Whether an account qualifies.
    pub fn qualifies(&self, account: &Account) -> bool {
        self.max_drawdown.is_none_or(|cap| account.drawdown <= cap)
            && self.min_trades.is_none_or(|least| account.trades >= least)
    }
}

/// Where a member stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Who.
    pub user_id: String,
    /// By which name.
    pub name: String,
    /// The place, counted from 1; no two are the same.
    pub rank: u32,
    /// What members are compared by.
    pub value: Dec,
    /// Cash and what positions are worth.
    pub portfolio_value: Dec,
    /// Whether the room's conditions are met.
    pub qualified: bool,
    /// Orders of which something was filled.
    pub trades: u64,
    /// The largest part of a peak that was lost.
    pub drawdown: Dec,
}

/// Everybody in order: who qualifies, by value, then who has lost less of a peak, then who joined first.
pub fn standings(
    accounts: &BTreeMap<String, Account>,
    ranking: &Ranking,
    starting: Dec,
    at_ms: u64,
) -> Vec<Standing> {
    let mut rows: Vec<(u64, Standing)> = accounts
        .iter()
        .filter(|(_, account)| !account.left)
        .map(|(user, account)| {
            let row = Standing {
                user_id: user.clone(),
                name: account.name.clone(),
                rank: 0,
                value: ranking.value(account, starting, at_ms),
                portfolio_value: account.equity,
                qualified: ranking.qualifies(account),
                trades: account.trades,
                drawdown: account.drawdown,
            };
            (account.joined, row)
        })
        .collect();
    rows.sort_by_key(|(joined, row)| (!row.qualified, Reverse(row.value), row.drawdown, *joined));
    rows.into_iter().zip(1..).map(|((_, row), rank)| Standing { rank, ..row }).collect()
}

/// A member whose place is another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Who.
    pub user_id: String,
    /// Where before; `None` for somebody who was not there.
    pub old_rank: Option<u32>,
    /// Where now.
    pub new_rank: u32,
}

/// Whose place is another, in the order of the new places.
pub fn moved(before: &[Standing], now: &[Standing]) -> Vec<Moved> {
    let old: BTreeMap<&str, u32> = before.iter().map(|row| (row.user_id.as_str(), row.rank)).collect();
    now.iter()
        .map(|row| {
            let old_rank = old.get(row.user_id.as_str()).copied();
            Moved { user_id: row.user_id.clone(), old_rank, new_rank: row.rank }
        })
        .filter(|moved| moved.old_rank != Some(moved.new_rank))
        .collect()
}
