"""Values as pictures: ranges, colours, sheets, bars of scores, text for the terminal."""
