/** Seatrial without a test runner: start it, attach a worker, and begin and end tests. */

export { Connection, type Where } from './connection.js';
export { type Problem, SeatrialError } from './errors.js';
export { type Command, find } from './find.js';
export { Layer } from './layer.js';
export { type ServeOptions, type Serving, serve } from './serve.js';
export { Session, type SessionOptions } from './session.js';
export { type Checkin, type Checkout, type Clone, type Isolation, Worker } from './worker.js';
