/** Once a run of Jest: Seatrial is gone again. */

export { stop as default } from './running.js';
