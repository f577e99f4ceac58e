//! What goes wrong on a machine: the server dies between any two writes, its
//! files are damaged or gone, its disk is full. This file is what the tests
//! beside it share.

mod damage;
mod disk;
mod gone;
mod killing;
mod many;
mod racing;
mod segments;
mod unopened;
mod writers;
