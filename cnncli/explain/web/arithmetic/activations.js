"use strict";
// The activations of cnncli/core/activations.py: each with its formula, the settings in it with their
// defaults, its value and its slope. Nothing here touches the page.

/**
 * By name: `of(z, setting)` is the value and `slope(z, setting)` its slope, where `setting(name)` gives a setting;
 * at a kink the slope is that of the lower side, and 0 for abs. Those over channels have neither.
 */
const ACTIVATIONS = {
  none: { formula: "", of: (z) => z, slope: () => 1 },
  relu: { formula: "max(0, z)", of: (z) => Math.max(0, z), slope: (z) => (z > 0 ? 1 : 0) },
  "leaky-relu": {
    formula: "z if z > 0, else alpha * z",
    settings: { alpha: 0.01 },
    of: (z, setting) => (z > 0 ? z : z * setting("alpha")),
    slope: (z, setting) => (z > 0 ? 1 : setting("alpha")),
  },
  sigmoid: { formula: "1 / (1 + exp(-z))", of: sigmoidOf, slope: (z) => sigmoidOf(z) * sigmoidOf(-z) },
  tanh: { formula: "tanh(z)", of: Math.tanh, slope: (z) => 1 - Math.tanh(z) ** 2 },
  abs: { formula: "|z|", of: Math.abs, slope: Math.sign },
  softmax: { formula: "exp(z - largest) / total" },
  prelu: {
    formula: "z if z > 0, else alpha * z",
    settings: { alpha: null },
    of: (z, setting) => (z > 0 ? z : z * setting("alpha")),
    slope: (z, setting) => (z > 0 ? 1 : setting("alpha")),
  },
  clip: {
    formula: "min(max(z, low), high)",
    settings: { low: 0, high: 1 },
    of: (z, setting) => clipped(z, setting("low"), setting("high")),
    slope: (z, setting) => (z > setting("low") && z < setting("high") ? 1 : 0),
  },
  "hard-sigmoid": {
    formula: "min(max(alpha * z + beta, 0), 1)",
    settings: { alpha: 0.2, beta: 0.5 },
    of: (z, setting) => clipped(setting("alpha") * z + setting("beta"), 0, 1),
    slope: (z, setting) => (isInside(setting("alpha") * z + setting("beta")) ? setting("alpha") : 0),
  },
  "hard-swish": {
    formula: "z * min(max(z / 6 + 1/2, 0), 1)",
    of: (z) => z * clipped(z / 6 + 0.5, 0, 1),
    // Beyond -3 and 3 the slope of the ramp is 0, also at an infinity.
    slope: (z) => clipped(z / 6 + 0.5, 0, 1) + (isInside(z / 6 + 0.5) ? z / 6 : 0),
  },
  truncate: { formula: "trunc(z)", of: Math.trunc, slope: () => 0 },
  wrap: {
    formula: "low + (trunc(z) - low) % (high - low + 1)",
    settings: { low: 0, high: 255 },
    of: (z, setting) => wrapped(Math.trunc(z), setting("low"), setting("high")),
    slope: () => 0,
  },
  silu: {
    formula: "z / (1 + exp(-alpha * z))",
    settings: { alpha: 1 },
    of: (z, setting) => {
      const divisor = 1 + Math.exp(-setting("alpha") * z);
      return divisor === Infinity ? 0 : z / divisor;
    },
    slope: (z, setting) => {
      const u = setting("alpha") * z;
      return sigmoidOf(u) + gated(u, sigmoidOf(u) * sigmoidOf(-u));
    },
  },
  gelu: {
    formula: "z * erfc(-z / sqrt(2)) / 2",
    of: (z) => gated(z, erfc(-z * Math.SQRT1_2) / 2),
    slope: (z) => erfc(-z * Math.SQRT1_2) / 2 + gated(z, Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)),
  },
  "gelu-tanh": {
    formula: "z / 2 * (1 + tanh(sqrt(2 / pi) * (z + 0.044715 * z**3)))",
    // (1 + tanh(u)) / 2 is the sigmoid of 2 u.
    of: (z) => gated(z, sigmoidOf(2 * Math.sqrt(2 / Math.PI) * (z + 0.044715 * z ** 3))),
    slope: (z) => {
      const scale = 2 * Math.sqrt(2 / Math.PI);
      const u = scale * (z + 0.044715 * z ** 3);
      return sigmoidOf(u) + gated(z * scale * (1 + 0.134145 * z * z), sigmoidOf(u) * sigmoidOf(-u));
    },
  },
  mish: {
    formula: "z * tanh(log(1 + exp(z)))",
    of: (z) => gated(z, Math.tanh(softplusOf(z))),
    slope: (z) => {
      const gate = Math.tanh(softplusOf(z));
      return gate + gated(z * sigmoidOf(z), 1 - gate * gate);
    },
  },
  softplus: { formula: "log(1 + exp(z))", of: softplusOf, slope: sigmoidOf },
  softsign: {
    formula: "z / (1 + |z|)",
    of: (z) => (Math.abs(z) > 1 ? 1 / (1 / z + Math.sign(z)) : z / (1 + Math.abs(z))),
    slope: (z) => 1 / (1 + Math.abs(z)) ** 2,
  },
  elu: {
    formula: "z if z > 0, else alpha * (exp(z) - 1)",
    settings: { alpha: 1 },
    of: (z, setting) => (z > 0 ? z : setting("alpha") * Math.expm1(z)),
    slope: (z, setting) => (z > 0 ? 1 : setting("alpha") * Math.exp(z)),
  },
  celu: {
    formula: "z if z > 0, else alpha * (exp(z / alpha) - 1)",
    settings: { alpha: 1 },
    of: (z, setting) => (z > 0 ? z : setting("alpha") * Math.expm1(z / setting("alpha"))),
    slope: (z, setting) => (z > 0 ? 1 : Math.exp(z / setting("alpha"))),
  },
  selu: {
    formula: "beta * z if z > 0, else beta * alpha * (exp(z) - 1)",
    settings: { alpha: 1.6732632423543772, beta: 1.0507009873554805 },
    of: (z, setting) => setting("beta") * (z > 0 ? z : setting("alpha") * Math.expm1(z)),
    slope: (z, setting) => setting("beta") * (z > 0 ? 1 : setting("alpha") * Math.exp(z)),
  },
  "thresholded-relu": {
    formula: "z if z > alpha, else 0",
    settings: { alpha: 1 },
    of: (z, setting) => (setting("alpha") >= z ? 0 : z),
    slope: (z, setting) => (setting("alpha") < z ? 1 : 0),
  },
  "log-softmax": { formula: "z - largest - log(total)" },
  exp: { formula: "exp(z)", of: Math.exp, slope: Math.exp },
  log: { formula: "log(z)", of: Math.log, slope: (z) => 1 / z },
  sqrt: { formula: "sqrt(z)", of: Math.sqrt, slope: (z) => 1 / (2 * Math.sqrt(z)) },
  pow: {
    formula: "z ** alpha",
    settings: { alpha: null },
    of: (z, setting) => powerOf(z, setting("alpha")),
    slope: (z, setting) => (setting("alpha") === 0 ? 0 : setting("alpha") * powerOf(z, setting("alpha") - 1)),
  },
  reciprocal: { formula: "1 / z", of: (z) => 1 / z, slope: (z) => -1 / (z * z) },
  neg: { formula: "-z", of: (z) => -z, slope: () => -1 },
  erf: { formula: "erf(z)", of: (z) => erf(z), slope: (z) => (2 / Math.sqrt(Math.PI)) * Math.exp(-z * z) },
  sign: { formula: "sign(z)", of: Math.sign, slope: () => 0 },
  floor: { formula: "floor(z)", of: Math.floor, slope: () => 0 },
  ceil: { formula: "ceil(z)", of: Math.ceil, slope: () => 0 },
  round: { formula: "round(z)", of: roundedToEven, slope: () => 0 },
};

/** Activations whose values depend on all channels of a cell. */
const OVER_CHANNELS = ["softmax", "log-softmax"];

/** The activation of one value of a channel; NaN of those over channels. */
function activate(z, layer, channel) {
  const { of, settings } = ACTIVATIONS[layer.activation];
  if (!settings) return of ? of(z) : NaN;
  return of(z, (name) => activationSetting(layer, name, channel));
}

/** The slope of a layer's activation at one value of a channel; NaN of those over channels. */
function activationSlope(z, layer, channel) {
  const { slope, settings } = ACTIVATIONS[layer.activation];
  if (!settings) return slope ? slope(z) : NaN;
  return slope(z, (name) => activationSetting(layer, name, channel));
}

/** A setting of a layer's activation: its own, one for all channels or one for each, or the default. */
function activationSetting(layer, name, channel) {
  const own = layer[name] ?? ACTIVATIONS[layer.activation].settings[name];
  return typeof own === "object" && own !== null ? own[own.length === 1 ? 0 : channel] : own;
}

/** The settings in the formula of a layer's activation with their numbers, [name, number] each. */
function activationSettings(layer, channel) {
  const names = Object.keys(ACTIVATIONS[layer.activation].settings ?? {});
  return names.map((name) => [name, activationSetting(layer, name, channel)]);
}

function clipped(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** A whole number as one of low to high; of what 32 bits do not hold, of their least number. */
function wrapped(value, low, high) {
  const least = -Math.max(2 ** 31, high + 1);
  const held = value >= least && value < -least ? value : least;
  const size = high - low + 1;
  return held >= low && held <= high ? held : low + ((((held - low) % size) + size) % size);
}

/** Whether a value is between 0 and 1. */
function isInside(value) {
  return value > 0 && value < 1;
}

/** 1 / (1 + exp(-z)); exp of the negative magnitude never overflows. */
function sigmoidOf(z) {
  const small = Math.exp(-Math.abs(z));
  return z >= 0 ? 1 / (1 + small) : small / (1 + small);
}

function softplusOf(z) {
  return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
}

/** A power; that of one half is the root, as in numpy: NaN of -Infinity too. */
function powerOf(z, alpha) {
  return alpha === 0.5 ? Math.sqrt(z) : z ** alpha;
}

/** z times a share, and 0 where that is 0: also at an infinity. */
function gated(z, share) {
  return share === 0 ? 0 : z * share;
}

/** The nearest whole number; halves go to the even one, as in Python. */
function roundedToEven(value) {
  return Math.abs(value % 1) === 0.5 ? 2 * Math.round(value / 2) : Math.round(value);
}

// The Chebyshev series of cnncli/core/erf.py: of erf(x) / x for x in 0..1, and of
// (x + 3) * exp(x**2) * erfc(x) for x from 1 on.
const ERF_NEAR = [
  0.9654687386698673, -0.1405360890227171, 0.019852496688983708, -0.0022854855611441132,
  0.00021751715604160108, -1.7537169441124826e-5, 1.223382738352401e-6, -7.51156928660089e-8,
  4.11580059766496e-9, -2.035228404899467e-10, 9.167606746069445e-12, -3.8078827395263415e-13,
  1.454817075960679e-14,
];
const ERFC_FAR = [
  0.885637101864549, -0.4796614430843352, 0.22387273334256327, -0.08762571665290285,
  0.027317987192580745, -0.005992101445205749, 0.0005111598748272948, 0.00020565983844521863,
  -8.285365111896867e-5, 2.220103342161853e-6, 6.227274664972744e-6, -1.1154410346503194e-6,
  -4.4449529448782747e-7, 1.5257647390485938e-7, 3.59252524748407e-8, -1.8293522195592727e-8,
  -3.623532184583837e-9, 2.0120676006387006e-9, 4.1550793605198266e-10, -1.5106411666911717e-10,
  -3.450791865114036e-11,
];

/** The error function. */
function erf(x) {
  return Math.abs(x) < 1 ? erfNear(x) : Math.sign(x) * (1 - erfcFar(Math.abs(x)));
}

/** 1 - erf(x), right also where that is next to nothing. */
function erfc(x) {
  if (Math.abs(x) < 1) return 1 - erfNear(x);
  return x > 0 ? erfcFar(x) : 2 - erfcFar(-x);
}

function erfNear(x) {
  return x * polynomial(ERF_NEAR, 2 * x * x - 1);
}

function erfcFar(x) {
  if (x > 28) return 0;
  return (Math.exp(-x * x) * polynomial(ERFC_FAR, (3 * x - 15) / (3 * x + 9))) / (x + 3);
}

function polynomial(coefficients, x) {
  return coefficients.reduceRight((total, coefficient) => total * x + coefficient, 0);
}
