"""Definitions of all numbers in words, for the report and metrics.json."""

from glam_node.research.evaluation.measure.comparison import PERMUTATIONS
from glam_node.research.evaluation.measure.overlap import MISS_DICE, TOP_FRACTIONS
from glam_node.research.evaluation.measure.regions import LEAST_OVERLAP

RESEARCH_USE = (
    "Research use only. This model is not a medical device; nothing here says how well it would work for other "
    "patients, on other machines or in a clinic."
)
UNTRAINED = "UNTRAINED: the weights of this package carry no knowledge; its numbers mean nothing."

DEFINITIONS: tuple[tuple[str, str], ...] = (
    (
        "Threshold of the map",
        f"Per class, the one with the largest mean Dice on validation images among {len(TOP_FRACTIONS)} "
        f"quantiles of all their pixels, those with a share of {TOP_FRACTIONS[0]:g} to {TOP_FRACTIONS[-1]:g} "
        "of the pixels above (in equal ratios). Then frozen. Thresholds are the ends of 1/64 of an octave.",
    ),
    (
        "Dice of the map",
        "Mean over images with an outlined lesion of the class of 2 |found and lesion| / (|found| + "
        "|lesion|), found being where the saliency exceeds the frozen threshold; no overlap counts 0. For "
        "GLAM the saliency is the published (local + global) / 2. The oracle takes the best threshold of each"
        " image: a bound, not a result.",
    ),
    (
        "Soft Dice",
        "2 sum(saliency x lesion) / (sum of saliency + sum of lesion), mean over the same images.",
    ),
    (
        "Pixel AP",
        "Sum over thresholds of (recall gained) x precision. Pooled: the pixels of all images with a lesion "
        "share one ranking. Mean of images: each image its own. Saliency is ranked in levels of 1/512 of an "
        "octave down to 2^-20.",
    ),
    (
        "Pointing hit",
        "The most salient pixel lies in a lesion; of several equal ones at least half must.",
    ),
    (
        "Miss",
        f"An image whose Dice at the frozen threshold is under {MISS_DICE:g}.",
    ),
    (
        "Finding",
        "An 8-connected region above the saliency thresholds of the operating point, of at least its area, on"
        " an image whose score reaches its score threshold. For GLAM the local saliency decides in the "
        "patches, the global one elsewhere; the two thresholds are the pair with the largest mean Dice on "
        "validation images. The node's limit on the number of findings per image is not applied.",
    ),
    (
        "Lesion, hit",
        "A lesion is a part of the outline; parts nearer to each other than a hundredth of the image's height are "
        "one. A region hits it when intersection over union of the two is "
        f"{LEAST_OVERLAP:g} or more.",
    ),
    (
        "False positives per normal image",
        "Findings on images without any lesion (where a data set has none: without one of this class). The "
        "least area is the smallest that leaves as many as wanted on normal validation images.",
    ),
    (
        "FROC",
        "Regions of at least the least area on all images, whatever the image's score, taken in the order of "
        "their largest saliency.",
    ),
    (
        "ROC AUC, PR AUC",
        "ROC: Mann-Whitney, ties count 1/2. PR: the trapezoidal area under the precision-recall points from "
        "(recall 0, precision 1); not average precision. The score of a breast is the mean of its views (a "
        "missing one is ignored), of a study the larger of its breasts; a row is positive when any of its"
        " views is.",
    ),
    (
        "Operating point",
        "The highest score threshold with the wanted sensitivity, or the lowest with the wanted specificity, "
        "of validation images; half-way to the next score.",
    ),
    (
        "Intervals",
        "Percentiles 2.5 and 97.5 of bootstrap resamples of patients (of studies if a data set does not identify "
        "patients), all views of one together; resamples with one class only are left out. The "
        "same resamples serve all models and numbers. Thresholds stay frozen, so the intervals do not contain"
        " the uncertainty of choosing them.",
    ),
    (
        "Subgroups",
        "Images of one view position, or of one breast density if the data set states it, at the thresholds of the "
        "whole. Nothing is corrected for the number of groups.",
    ),
    (
        "p (permutation), p (DeLong)",
        "Two-sided, of the difference of two models on the same images, not corrected for the number of comparisons. "
        "Permutation of Dice: the signs of all differences of a patient change together, in "
        f"{PERMUTATIONS:,} random assignments. DeLong's test of the ROC AUC has the covariance of Obuchowski for "
        "several images of a patient.",
    ),
    (
        "Calibration",
        "Brier: mean of (score - label) squared. ECE: mean over images of |mean score - share with a lesion| "
        "of their bin, ten bins of equal width. Platt's scale is fitted on validation images; its numbers, "
        "and those of an isotonic fit, are in metrics.json.",
    ),
)
