"""What a student has to beat: bag-of-words logistic regression on every gold label of training."""

from collections.abc import Sequence

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from serving.triage.dataset import Feedback
from serving.triage.task import Sentiment


def tfidf_sentiments(train: Sequence[Feedback], texts: Sequence[Feedback]) -> list[Sentiment]:
    """Predictions for `texts`: words and word pairs seen twice, sublinear counts, C = 4."""
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
        LogisticRegression(C=4.0, max_iter=1000),
    )
    model.fit([item.text for item in train], [item.gold.sentiment.value for item in train])
    return [Sentiment(label) for label in model.predict([item.text for item in texts])]
