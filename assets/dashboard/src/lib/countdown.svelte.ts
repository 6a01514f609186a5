// Counts seconds down to zero, for waits that the appliance asked for.

export class Countdown {
  left = $state(0);
  #timer: ReturnType<typeof setInterval> | undefined;

  start(seconds: number): void {
    this.stop();
    const until = Date.now() + seconds * 1000;
    this.left = seconds;
    // A clock, not a count of ticks: timers of hidden tabs run slow.
    this.#timer = setInterval(() => {
      this.left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
      if (this.left === 0) this.stop();
    }, 250);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.left = 0;
  }
}
