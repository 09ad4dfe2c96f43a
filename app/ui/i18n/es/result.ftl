# result
