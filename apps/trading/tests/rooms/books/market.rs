//! The newest price of an instrument, what is left at it, and the orders that wait.

use std::collections::BTreeSet;

pub(crate) struct Market {
    lot: i128,
    pub(crate) price: Option<i128>,
    /// For sellers and buyers; `None`: as much as they like.
    left: [Option<i128>; 2],
    open: [BTreeSet<usize>; 2],
}

impl Market {
    pub(crate) fn new(lot: i128) -> Self {
        Self { lot, price: None, left: [Some(0); 2], open: Default::default() }
    }

    pub(crate) fn quote(&mut self, price: i128, volume: Option<i128>) {
        self.price = Some(price);
        self.left = [volume.map(|volume| volume - volume % self.lot); 2];
    }

    /// Orders of one side that wait, by their place.
    pub(crate) fn open(&mut self, buys: bool) -> &mut BTreeSet<usize> {
        &mut self.open[usize::from(buys)]
    }

    pub(crate) fn all_open(&mut self) -> Vec<usize> {
        self.open.iter().flatten().copied().collect()
    }

    /// How much of so much there is.
    pub(crate) fn left(&self, buys: bool, wanted: i128) -> i128 {
        self.left[usize::from(buys)].map_or(wanted, |left| left.min(wanted))
    }

    pub(crate) fn take(&mut self, buys: bool, quantity: i128) {
        let left = self.left[usize::from(buys)].as_mut();
        left.into_iter().for_each(|left| *left -= quantity);
    }
}
