// @ts-check
// Jobs to begin with, each a matter of seconds, and what plans start from.

const CANCER = { dataset: "breast_cancer", optimizer: { name: "adam", learning_rate: 0.003 }, split: { name: "holdout", val_fraction: 0.5 }, seed: 0 };
const RATES = [["sgd", 0.3], ["momentum", 0.03], ["nag", 0.03], ["adagrad", 0.03], ["adadelta", 10], ["rmsprop", 0.01], ["adam", 0.003]];
const SPACE = { "/optimizer/learning_rate": { values: [0.001, 0.01, 0.1] } };

/** The first three differ by their regularization alone. */
export const PRESETS = [
  { ...CANCER, name: "will overfit", network: { name: "mlp", hidden_units: [128, 128] }, training: { max_epochs: 60 } },
  { ...CANCER, name: "well regularised", network: { name: "mlp", hidden_units: [128, 128], dropout: 0.3 }, training: { max_epochs: 60 }, regularization: { l2: 0.001 }, early_stopping: {} },
  { ...CANCER, name: "underfits", network: { name: "mlp", hidden_units: [128, 128], dropout: 0.3 }, training: { max_epochs: 30 }, regularization: { l2: 30 } },
  { name: "optimizer race", dataset: "digits", network: { name: "mlp", hidden_units: [32] }, training: { max_epochs: 10, batch_size: 64 }, plan: { name: "comparison", variants: RATES.map(([name, rate]) => ({ label: name, set: { "/optimizer": { name, learning_rate: rate } } })) }, seed: 0 },
  { name: "5 folds", dataset: "iris", network: { name: "mlp", hidden_units: [16] }, optimizer: { name: "adam", learning_rate: 0.01 }, training: { max_epochs: 30 }, split: { name: "k_fold", folds: 5, test_fraction: 0.2 }, plan: { name: "fit", refit: true }, seed: 0 },
  { name: "search", dataset: "wine", training: { max_epochs: 15 }, split: { name: "k_fold", folds: 3, test_fraction: 0.2 }, plan: { name: "search", space: { "/network/hidden_units": { values: [[], [8], [64]] }, ...SPACE }, choose: "one_standard_error" }, seed: 0 },
];

/** What a member of a union starts from where no default would do, and a map that was left out. */
export const STARTS = {
  comparison: { variants: [{ label: "adam", set: { "/optimizer": { name: "adam" } } }, { label: "momentum", set: { "/optimizer": { name: "momentum" } } }] },
  search: { space: SPACE },
  nested_cv: { search: { space: SPACE } },
  axis: { "/network/hidden_units": { values: [[4], [16], [64]] } },
};
