mod settle;
mod source;
