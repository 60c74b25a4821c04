"""The rules of RTSP, pure: time, randomness and passwords are arguments.

Control is a stream core (`terzetto.driver.contract.StreamCore`), media are datagram cores.
"""
