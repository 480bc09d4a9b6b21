export default () => globalThis.seatrial.stop();
