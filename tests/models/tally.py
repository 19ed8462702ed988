"""What the models say: protocols that must hold, and wrong ones that must be found out."""
import sys


class Tally:
    def __init__(self, name):
        self.name, self.states, self.held, self.caught, self.failed = name, 0, 0, 0, []

    def tell(self, title, states, bad, example=None):
        """A title that begins with WRONG is that of a shortcut: the model must find what it breaks."""
        self.states += states
        is_wrong = title.startswith("WRONG")
        if is_wrong == (bad > 0):
            self.caught += is_wrong
            self.held += not is_wrong
        else:
            self.failed.append(f"{title}: {bad} bad" + (f", such as {example}" if bad else ""))

    def end(self):
        for line in self.failed:
            print(f"{self.name}: {line}")
        print(f"{self.name}: {self.states} states; {self.held} protocols hold, {self.caught} wrong ones are found out")
        sys.exit(1 if self.failed else 0)
