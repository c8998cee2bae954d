"""The meta-module: gradient boosting over out-of-sample predictions of finished runs and chosen features (SPEC 10).

    base_runs.py     what a run predicted, and until when its model had seen data; rules 1 and 2
    inputs.py        several runs and features on the rows of one task
    leaks.py         rule 5: inputs that know more of the label than anything can
    walk_forward.py  rules 3 and 4: trained on earlier rows only, scored on later ones
    verdict.py       against the best input, their average and the base rate, on the same days

The rules, each an InputError that names the input:

1. A prediction for day t comes from a model that had seen nothing of t or later: the exits of all labels that trained
   it, chose its epoch or, where the column is calibrated, calibrated it lie before t.
2. A prediction on longer bars reaches a day only once its bar has closed.
3. No label that trains the meta-model has its exit on or after the first day it is tested on; an embargo lies between.
4. The meta-model is tested on days after those that it was trained on, all of them out of sample for its inputs.
5. No input tells a label that is not known yet better than `meta.leak_auc`.
"""
