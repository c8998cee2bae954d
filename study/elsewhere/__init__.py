"""Elsewhere: train on a machine that has neither network nor DVC, evaluate and record here.

pack   prepared inputs, code and a list of runs -> a folder that travels      (study/elsewhere/pack.py)
run    there: each run trained, its outputs left in results/                  (study/elsewhere/run.py, in the pack)
take   here: each finished run through the ordinary stages, as an experiment  (study/elsewhere/take.py)
"""
