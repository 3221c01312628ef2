// torch's random numbers on the CPU, so that a seed means the same noise here as in Python.

const N = 624; // numbers in the state of mt19937
const M = 397;
const LARGEST_SEED = 2 ** 32 - 1;

/** The random stream of `torch.Generator().manual_seed(seed)`: mt19937 by Matsumoto and Nishimura, 1998. */
export class Generator {
  /** @param {number} seed whole, 0 … 2³² - 1 */
  constructor(seed) {
    if (!Number.isInteger(seed) || seed < 0 || seed > LARGEST_SEED) {
      throw new RangeError(`expected a whole number from 0 to ${LARGEST_SEED} as a seed, got ${seed}`);
    }
    this.state = new Uint32Array(N);
    this.state[0] = seed;
    for (let i = 1; i < N; i++) {
      const before = this.state[i - 1];
      this.state[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
    }
    this.used = N;
  }

  /** The next whole number of 32 bits. */
  random() {
    if (this.used === N) this.#renew();
    let y = this.state[this.used++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  #renew() {
    const s = this.state;
    for (let i = 0; i < N; i++) {
      const y = (s[i] & 0x80000000) | (s[(i + 1) % N] & 0x7fffffff);
      s[i] = s[(i + M) % N] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.used = 0;
  }

  /** A number in [0, 1) of 24 bits, as many as float32 holds. */
  uniform() {
    return (this.random() & 0xffffff) / 2 ** 24;
  }

  /**
   * Standard normal numbers, as `torch.randn(size, generator=generator)`: uniform ones, turned in blocks of 16 by Box
   * and Muller's formula. Where 16 does not divide the size, the last 16 are drawn again.
   *
   * @param {number} size how many, at least 16; for fewer torch goes another way
   * @returns {Float32Array}
   */
  randn(size) {
    if (!Number.isInteger(size) || size < 16) throw new RangeError(`expected 16 numbers or more, got ${size}`);
    const data = new Float32Array(size);
    for (let i = 0; i < size; i++) data[i] = this.uniform();
    for (let i = 0; i + 16 <= size; i += 16) normal16(data.subarray(i, i + 16));
    if (size % 16) {
      const last = data.subarray(size - 16);
      for (let i = 0; i < 16; i++) last[i] = this.uniform();
      normal16(last);
    }
    return data;
  }
}

/** 16 uniform numbers → 16 normal ones, in place: the first 8 give the radii, the last 8 the angles. */
function normal16(data) {
  for (let i = 0; i < 8; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - data[i]));
    const angle = 2 * Math.PI * data[i + 8];
    data[i] = radius * Math.cos(angle);
    data[i + 8] = radius * Math.sin(angle);
  }
}
