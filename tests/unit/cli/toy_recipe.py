"""A recipe that trains in a second."""

TOY = """
name = "toy"
[data]
kind = "phantoms"
path = "0:1"
options = { rows = 832, columns = 640 }
[validation]
kind = "phantoms"
path = "1:2"
options = { rows = 832, columns = 640 }
[global_stage]
steps = 1
batch_size = 2
[shape]
reduction = 16
global_stem_channels = 4
global_channels = [4, 4, 4]
global_strides = [1, 2, 1]
global_stem_pool = false
local_channels = [4, 4, 4, 4]
local_blocks = [1, 1, 1, 1]
local_stem_pool = false
"""
